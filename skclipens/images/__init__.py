"""Images: convert any image to RGB, views, names of many images, and decoding in batches.

Knows no models.
"""

from ._collections import as_image_list
from ._load import load_image
from ._views import View

__all__ = ["View", "as_image_list", "load_image"]
