"""Whether red and blue are exchanged in pictures in memory, as OpenCV reads them."""

import numpy as np
from PIL import Image
from scipy.stats import ttest_rel
from sklearn.metrics import accuracy_score, cohen_kappa_score

from .._utils._warnings import warn
from ..backbones import list_backbones
from ..embedding import CLIPEmbedder
from ..embedding._base import BaseEmbedder
from ..exceptions import ImageError
from ..images import as_image_list, load_image
from ..images._load import is_tensor
from ..images._pillow_warnings import recorded

# Pictures that are looked at first, and, where these do not speak for their own channels, at most.
_FEW, _MOST = 20, 128
_MAX_P_OF_FEW, _MAX_P_VALUE = 0.2, 1e-4
# Of the predictions with exchanged channels: the lowest kappa, and its lowest rise. Chosen on
# validation sets; `python -m benchmarks.channels` measures what is noticed with them.
_MIN_KAPPA, _MIN_RISE = 0.3, 0.05


def warn_of_channels(pipeline, X, y):
    """Warn if prompts fit pictures in memory far better with red and blue exchanged.

    Files are decoded here, and right. The cheapest backbone whose texts the ensemble compares with
    pictures reads some of them a second time.

    Parameters
    ----------
    pipeline : BackbonePipeline
        It is fitted.
    X : collection of n images
    y : array-like of shape (n,)
        Labels.
    """
    embedder, expert = pipeline.steps[0][1], _cheapest_prompts(pipeline._final_estimator)
    if y is None or expert is None or not isinstance(embedder, BaseEmbedder):
        return
    images, labels = as_image_list(X), np.ravel(y).tolist()
    places = {label: place for place, label in enumerate(expert.head.classes_.tolist())}
    targets = np.array([places.get(label, -1) for label in labels])
    known = np.flatnonzero(targets >= 0)
    for most, max_p_value in ((_FEW, _MAX_P_OF_FEW), (_MOST, _MAX_P_VALUE)):
        picked = known[np.linspace(0, len(known) - 1, min(len(known), most)).astype(int)]
        pictures = _in_memory(images, picked)
        if len(pictures) < _FEW // 2:
            return
        given, exchanged = _cosines(embedder, expert, list(pictures.values()))
        of_rows = targets[list(pictures)]
        margins = [_margins(cosines, of_rows) for cosines in (exchanged, given)]
        if not ttest_rel(*margins, alternative="greater").pvalue <= max_p_value:
            return
    _conclude(of_rows, given.argmax(axis=1), exchanged.argmax(axis=1))


def _cheapest_prompts(estimator):
    """The expert with prompts alone whose backbone costs least; the first, if none is known."""
    experts = getattr(estimator, "experts_", ())
    experts = [one for one in experts if one.is_prompts and one.block.backbone is not None]
    costs = list_backbones()["gflops"]
    return min(experts, key=lambda one: costs.get(one.block.backbone, np.inf), default=None)


def _in_memory(images, rows):
    """Pictures whose channels somebody else has put in order, by their rows."""
    found = {}
    with recorded():  # what there is to say of them, embedding has said
        for row in rows:
            try:
                if _has_pixels(image := images[row]):
                    found[row] = load_image(image)
            except ImageError:
                continue
    return found


def _has_pixels(image):
    if isinstance(image, Image.Image):
        return image.format is None  # that of a file is known
    return isinstance(image, np.ndarray) or is_tensor(image)


def _cosines(embedder, expert, pictures):
    """Cosines of pictures and classes: as they are, and with red and blue exchanged."""
    names = ("device", "precision", "batch_size", "n_jobs", "cache")
    options = {name: getattr(embedder, name) for name in names}
    of_one = CLIPEmbedder(expert.block.backbone, **options)
    exchanged = [Image.merge("RGB", picture.split()[::-1]) for picture in pictures]
    embeddings, _ = of_one._transform([*pictures, *exchanged])
    return np.split(embeddings @ expert.head.text_features_.T, 2)


def _margins(cosines, targets):
    """How far the cosine with the own class is above the mean of all others."""
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
