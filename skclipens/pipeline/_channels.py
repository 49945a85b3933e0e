"""Warn if red and blue are exchanged in pictures in memory, as OpenCV reads them."""

import numpy as np
from PIL import Image
from scipy.stats import ttest_rel
from sklearn.metrics import accuracy_score, cohen_kappa_score

from .._utils._linalg import evenly_spaced
from .._utils._warnings import warn
from ..backbones import list_backbones
from ..embedding import CLIPEmbedder
from ..embedding._image_columns import image_columns
from ..exceptions import ImageError
from ..images import load_image
from ..images._load import is_tensor
from ..images._pillow_warnings import recorded

# Most pictures in the first test, and in the second, if the first favours exchanged channels.
_FEW, _MOST = 20, 128
_MAX_P_OF_FEW, _MAX_P_VALUE = 0.2, 1e-4
# Smallest kappa of the predictions with exchanged channels, and its smallest rise. Chosen on
# validation sets; `python -m benchmarks.channels` measures what is detected with them.
_MIN_KAPPA, _MIN_RISE = 0.3, 0.05


def warn_of_channels(pipeline, X, y):
    """Warn if prompts fit pictures in memory far better with red and blue exchanged.

    Files are not tested, since this package decodes them in the right order. The cheapest backbone
    with prompts in the fitted ensemble embeds some of the pictures a second time.
    """
    for column in () if y is None else image_columns(pipeline.steps[0][1], X):
        expert = _cheapest_prompts(pipeline._final_estimator, column.name)
        if expert is not None:
            _warn_of_column(column.embedder, column.images, expert, np.ravel(y).tolist())


def _warn_of_column(embedder, images, expert, labels):
    places = {label: place for place, label in enumerate(expert.head.classes_.tolist())}
    targets = np.array([places.get(label, -1) for label in labels])
    known = np.flatnonzero(targets >= 0)
    for most, max_p_value in ((_FEW, _MAX_P_OF_FEW), (_MOST, _MAX_P_VALUE)):
        picked = evenly_spaced(known, most)
        pictures = _in_memory(images, picked)
        if len(pictures) < _FEW // 2:
            return
        given, exchanged = _cosines(embedder, expert, list(pictures.values()))
        picked_targets = targets[list(pictures)]
        margins = [_margins(cosines, picked_targets) for cosines in (exchanged, given)]
        if not ttest_rel(*margins, alternative="greater").pvalue <= max_p_value:
            return
    _conclude(picked_targets, given.argmax(axis=1), exchanged.argmax(axis=1))


def _cheapest_prompts(estimator, column):
    """Return the expert of prompts alone with the cheapest backbone; the first if no cost is known.

    Its block is of this column of images; of the only one if it has no name. None if there is no
    such expert.
    """
    experts = getattr(estimator, "experts_", ())
    experts = [one for one in experts if one.is_zero_shot and one.block.backbone is not None]
    if column:
        experts = [one for one in experts if one.block.name.startswith(f"{column}__")]
    costs = list_backbones()["gflops"]
    return min(experts, key=lambda one: costs.get(one.block.backbone, np.inf), default=None)


def _in_memory(images, rows):
    """Return the pictures given as pixels, not as files, by row: the caller set their channels."""
    found = {}
    with recorded():  # embedding has already warned of them
        for row in rows:
            try:
                if _has_pixels(image := images[row]):
                    found[row] = load_image(image)
            except ImageError:
                continue
    return found


def _has_pixels(image):
    if isinstance(image, Image.Image):
        return image.format is None  # an image from a file has a format
    return isinstance(image, np.ndarray) or is_tensor(image)


def _cosines(embedder, expert, pictures):
    """Return cosines of pictures and classes: as given, and with red and blue exchanged."""
    names = ("device", "precision", "batch_size", "n_jobs", "cache")
    options = {name: getattr(embedder, name) for name in names}
    alone = CLIPEmbedder(expert.block.backbone, **options)
    exchanged = [Image.merge("RGB", picture.split()[::-1]) for picture in pictures]
    embeddings, _ = alone._transform([*pictures, *exchanged])
    return np.split(embeddings @ expert.head.text_features_.T, 2)


def _margins(cosines, targets):
    """Return the cosine with the true class minus the mean of those with all other classes."""
    own, n_classes = cosines[np.arange(len(targets)), targets], cosines.shape[1]
    return own - (cosines.sum(axis=1) - own) / (n_classes - 1)


def _conclude(targets, given, exchanged):
    kappa, before = (cohen_kappa_score(targets, one) for one in (exchanged, given))
    if kappa < _MIN_KAPPA or kappa - before < _MIN_RISE:
        return
    right, wrong = (accuracy_score(targets, one) for one in (exchanged, given))
    warn(
        f"Prompts classify {wrong:.0%} of {len(targets)} pictures correctly, and would classify "
        f"{right:.0%} correctly with red and blue exchanged. OpenCV reads pictures so: pass "
        "image[..., ::-1], or the names of the files."
    )
