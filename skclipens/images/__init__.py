"""Images: any form of one to an RGB picture, names of many, decoding in batches.

Knows no models. Imports ``_utils``; ``embedding`` and all above, and ``datasets``, may import it.
"""

from ._load import ImageError, as_image_list, load_image

__all__ = ["ImageError", "as_image_list", "load_image"]
