"""List of the backbones of the paper and of the zoo, with their cost."""

import json
from functools import cache

from .. import zoo
from ..images._views import n_passes

TIMM = "timm/"  # prefix of the names of timm's image towers
# The backbones of the paper, all with OpenAI's weights: input pixels, embedding width, width before
# the projection, parameters of the image tower in millions, GFLOPs per image (2 x multiply-adds),
# megabytes of the weights of both towers on the hub, 4 bytes a parameter.
PAPER = {
    "ViT-B-32": (224, 512, 768, 87.9, 8.8, 605),
    "RN50": (224, 1024, 2048, 38.3, 12.2, 408),
    "RN101": (224, 512, 2048, 56.3, 19.5, 479),
    "ViT-B-16": (224, 512, 768, 86.2, 35.1, 598),
    "RN50x4": (288, 640, 2560, 87.1, 42.6, 713),
    "RN50x16": (384, 768, 3072, 167.3, 149.4, 1164),
    "ViT-L-14": (224, 768, 1024, 304.0, 162.0, 1710),
    "ViT-L-14-336": (336, 768, 1024, 304.3, 381.9, 1712),
    "RN50x64": (448, 1024, 4096, 420.4, 529.1, 2493),
}


def list_backbones(views=None):
    """List the backbones of the paper and of the zoo with their cost.

    Any other open_clip model can be used as well; see :class:`~skclipens.backbones.Backbone`.

    Parameters
    ----------
    views : None, {"mirror", "crops", "both"} or list of View, default=None
        Views of an image, as in :class:`skclipens.MultiBackboneEmbedder`. Each view costs a
        forward pass.

    Returns
    -------
    pandas.DataFrame
        One row per backbone, indexed by its spec, with the columns ``group`` (``"paper"`` or
        ``"zoo"``), ``input_size`` (pixels a side), ``width`` (of an embedding), ``pooled_width``
        (of the features before the last projection), ``parameters`` (of the image tower, in
        millions), ``gflops`` (per image with its views, 2 x multiply-adds) and ``download_mb`` (of
        both towers, in megabytes of 10**6 bytes, fetched on first use; 0 for the zoo).

    Raises
    ------
    ValueError
        If `views` is something else.

    See Also
    --------
    skclipens.backbones.Backbone : A backbone by name.

    Examples
    --------
    >>> from skclipens import list_backbones
    >>> list_backbones().loc["ViT-B-32/openai", "gflops"].item()
    8.8
    >>> list_backbones().loc["ViT-B-32/openai", "download_mb"].item()
    605
    >>> list_backbones(views="mirror").loc["ViT-B-32/openai", "gflops"].item()
    17.6
    """
    frame = _table().copy()
    frame["gflops"] *= n_passes(views)
    return frame


@cache
def _table():
    import pandas as pd

    columns = [
        "group",
        "input_size",
        "width",
        "pooled_width",
        "parameters",
        "gflops",
        "download_mb",
    ]
    sizes = json.loads((zoo.WEIGHTS / "sizes.json").read_text("utf-8"))
    rows = {f"{name}/openai": ["paper", *facts] for name, facts in PAPER.items()}
    for name in zoo.MODELS:
        rows[f"zoo/{name}"] = ["zoo", *(sizes[name][column] for column in columns[1:-1]), 0]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return frame.rename_axis("backbone")
