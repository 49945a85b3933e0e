"""Images: any form of one to an RGB picture, views of it, names of many, decoding in batches.

Knows no models.
"""

from ._collections import as_image_list
from ._load import load_image
from ._views import View

__all__ = ["View", "as_image_list", "load_image"]
