"""Embed images with one CLIP backbone or with several."""

from .._utils._docstrings import fill_doc
from .._utils._sklearn import InOrder
from ..backbones import resolve_backbones
from ._base import BaseEmbedder


@fill_doc
class CLIPEmbedder(BaseEmbedder):
    """Embed images with the image tower of one CLIP model.

    The estimator is stateless and holds no model. Models are kept in a process-wide cache, so
    clones and pickles are cheap.

    Parameters
    ----------
    backbone : str, default="ViT-B-32/openai"
        The model; see :class:`skclipens.backbones.Backbone` for what can be named. The models
        that come with the package are ``"zoo/RN20"``, ``"zoo/ViT-8"``, ``"zoo/ViT-16"``,
        ``"zoo/RegNet"`` and ``"zoo/DLA"``.
    %(embedder)s

    Attributes
    ----------
    %(image_column)s

    See Also
    --------
    MultiBackboneEmbedder : Several backbones, each image decoded once.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", ICML 2021.

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> CLIPEmbedder("zoo/RN20").fit_transform(emoji.filenames[:3]).shape
    (3, 128)
    >>> CLIPEmbedder("zoo/RN20", views="mirror", features="pooled").fit_transform(
    ...     emoji.filenames[:3]
    ... ).shape
    (3, 640)
    """

    _parameter_constraints: dict = {**BaseEmbedder._parameter_constraints, "backbone": [str]}

    def __init__(
        self,
        backbone="ViT-B-32/openai",
        *,
        features="projected",
        views=None,
        keep_plain=False,
        device="auto",
        precision="auto",
        decode="auto",
        compile=False,
        batch_size=64,
        n_jobs=-1,
        normalize=True,
        cache=None,
        on_error="raise",
        verbose=False,
    ):
        self.backbone = backbone
        self.features = features
        self.views = views
        self.keep_plain = keep_plain
        self.device = device
        self.precision = precision
        self.decode = decode
        self.compile = compile
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.normalize = normalize
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def _backbones(self):
        backbones = resolve_backbones(self.backbone)
        if len(backbones) > 1:
            raise ValueError(
                f"backbone={self.backbone!r} names several backbones; use MultiBackboneEmbedder."
            )
        return backbones


@fill_doc
class MultiBackboneEmbedder(BaseEmbedder):
    """Embed images with the image towers of several CLIP models, side by side.

    Each image is read and decoded once, and each view of it is resized once per different
    preprocessing, however many backbones there are. The output has one block of columns per
    backbone, or more depending on `features` and `keep_plain`. It is the input of
    :class:`AdaptiveBackboneEnsemble` or of any other scikit-learn estimator.

    Parameters
    ----------
    backbones : str or list of str, default=("ViT-B-32/openai", "RN50/openai")
        ``"zoo"`` for the five models that come with the package, ``"paper"`` for the nine OpenAI
        models of [1]_, or a list of these or any other models; see
        :class:`skclipens.backbones.Backbone`.
    %(embedder)s

    Attributes
    ----------
    %(image_column)s

    See Also
    --------
    CLIPEmbedder : One backbone.
    skclipens.make_backbone_pipeline : An embedder and an ensemble as one classifier of images.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> from skclipens import MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    >>> embedder.fit_transform(load_emoji().frame["path"].head(3)).shape
    (3, 256)
    >>> embedder.get_feature_names_out()[-1]
    'zoo/ViT-16__127'
    """

    _parameter_constraints: dict = {
        **BaseEmbedder._parameter_constraints,
        "backbones": [str, InOrder()],
    }

    def __init__(
        self,
        backbones=("ViT-B-32/openai", "RN50/openai"),
        *,
        features="projected",
        views=None,
        keep_plain=False,
        device="auto",
        precision="auto",
        decode="auto",
        compile=False,
        batch_size=64,
        n_jobs=-1,
        normalize=True,
        cache=None,
        on_error="raise",
        verbose=False,
    ):
        self.backbones = backbones
        self.features = features
        self.views = views
        self.keep_plain = keep_plain
        self.device = device
        self.precision = precision
        self.decode = decode
        self.compile = compile
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.normalize = normalize
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def _backbones(self):
        return resolve_backbones(self.backbones)
