"""Images: any form of one to an RGB picture, names of many, decoding in batches.

Knows no models. May import ``_utils``.
"""

from ._load import ImageError, as_image_list, load_image

__all__ = ["ImageError", "as_image_list", "load_image"]
