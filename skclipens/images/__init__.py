"""Images: any form of one to an RGB picture, views of it, names of many, decoding in batches.

Knows no models. Imports ``_utils``; ``backbones`` and all above, and ``datasets``, may import it.
"""

from ._load import ImageError, as_image_list, load_image
from ._views import View

__all__ = ["ImageError", "View", "as_image_list", "load_image"]
