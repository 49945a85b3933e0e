"""Embed images with one CLIP backbone or with several."""

from contextlib import closing
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from .backbones import resolve_backbones, resolve_device
from .images import as_image_list

__all__ = ["CLIPEmbedder", "MultiBackboneEmbedder"]


class _BaseEmbedder(TransformerMixin, BaseEstimator):
    """Images to one block of columns per backbone; each image is decoded once."""

    _parameter_constraints: dict = {
        "device": [str, "array-like"],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "compile": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
        "normalize": ["boolean"],
        "on_error": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the form of the input; nothing is learned.

        Parameters
        ----------
        X : collection of n images
            See :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        as_image_list(X)
        self._backbones()
        self._devices()
        self.n_features_in_ = 1
        # Sets feature_names_in_, or removes it where X has no names.
        validate_data(self, X, skip_check_array=True, ensure_2d=False)
        return self

    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : collection of n images
            A list, array, Series or one-column frame of paths, bytes of encoded files, PIL images,
            arrays or tensors; see :func:`skclipens.images.load_image`. An array of shape
            (n, H, W, 3) and a tensor of shape (n, 3, H, W) are batches of images. Of another
            sequence that makes its items on demand, threads take one item at a time.

        Returns
        -------
        ndarray of shape (n, n_columns), float32
            One block of columns per backbone, in the order of the backbones. A frame if
            ``set_output`` says so.

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error="raise"``; names the row and the file.
        BackboneNotAvailableError
            If the weights of a backbone cannot be had.
        """
        self._validate_params()
        images = as_image_list(X)
        width = sum(backbone.width for backbone in self._backbones())
        embeddings = np.full((len(images), width), np.nan, np.float32)
        blocks = self._embed(images, range(len(images)))
        with _progress(len(images), self.verbose) as bar, closing(blocks):
            for rows, values in blocks:
                embeddings[rows] = values
                bar.update(rows[-1] + 1 - bar.n)
            bar.update(len(images) - bar.n)
        return embeddings

    def _embed(self, images, rows):
        """Yield rows that can be read, a batch at a time and in order, with their embeddings."""
        from ._decoding import decode_batches
        from ._forward import ImageEncoder

        encoder = ImageEncoder(
            self._backbones(),
            devices=self._devices(),
            precision=self.precision,
            normalize=self.normalize,
            compile=self.compile,
        )
        batches = decode_batches(
            images,
            rows,
            encoder.resizes,
            batch_size=self.batch_size,
            n_jobs=self.n_jobs,
            n_ahead=encoder.n_ahead,
            on_error=self.on_error,
            pin_memory=encoder.pin_memory,
        )
        with closing(batches):
            yield from encoder(batches)

    def _devices(self):
        devices = [self.device] if isinstance(self.device, str) else list(self.device)
        if not devices:
            raise ValueError("device is empty; 'auto' takes the best that there is.")
        return [resolve_device(device) for device in devices]

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, ``BACKBONE__i``.

        Parameters
        ----------
        input_features : None or array-like of str
            Ignored.

        Returns
        -------
        ndarray of str objects
        """
        return np.array(
            [
                f"{backbone.name}__{i}"
                for backbone in self._backbones()
                for i in range(backbone.width)
            ],
            dtype=object,
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _progress(total, verbose):
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="embedding", unit="image", disable=not verbose)


class CLIPEmbedder(_BaseEmbedder):
    """Embed images with the image tower of one CLIP model.

    The estimator is stateless and holds no model: models live in a process-wide cache, so that
    clones and pickles cost nothing.

    Parameters
    ----------
    backbone : str, default="ViT-B-32/openai"
        The model; see :class:`skclipens.backbones.Backbone` for what can be named. The models
        that come with the package are ``"zoo/RN20"``, ``"zoo/ViT-8"``, ``"zoo/ViT-16"``,
        ``"zoo/RegNet"`` and ``"zoo/DLA"``.
    device : str or list of str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes CUDA where there is one,
        else MPS, else the CPU. Resolved when images are embedded, not before. The devices of a
        list, such as ``["cuda:0", "cuda:1"]``, take batches in turn.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        Precision of the image tower's weights and activations; embeddings are float32 always.
        ``"auto"`` is ``"fp16"`` on CUDA, the precision that OpenAI published its weights in;
        ``"bf16"`` on CPUs with the AVX512_BF16 instructions, since it was faster there with every
        model that was measured; and ``"fp32"`` elsewhere. With ``"bf16"``, embeddings of the zoo
        were within 2e-4 of those of ``"fp32"`` in cosine distance.
    compile : bool, default=False
        Whether to compile the image tower with :func:`torch.compile`: minutes once per process,
        for faster passes after. On a CPU it needs a C++ compiler.
    batch_size : int, default=64
        Number of images in a forward pass; halved where the memory of a GPU does not suffice.
    n_jobs : int or None, default=-1
        Number of threads that decode and resize images: ahead of a GPU, or in turn with the
        forward passes where these run on the same cores. -1 stands for all cores, None for 1
        unless in a :func:`joblib.parallel_config` context.
    normalize : bool, default=True
        Whether to scale each embedding to unit Euclidean length.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be read is an error or a row of NaN.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        1: a column of images.
    feature_names_in_ : ndarray of shape (1,)
        Name of the column; only where ``fit`` saw a frame.

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
    """

    _parameter_constraints: dict = {**_BaseEmbedder._parameter_constraints, "backbone": [str]}

    def __init__(
        self,
        backbone="ViT-B-32/openai",
        *,
        device="auto",
        precision="auto",
        compile=False,
        batch_size=64,
        n_jobs=-1,
        normalize=True,
        on_error="raise",
        verbose=False,
    ):
        self.backbone = backbone
        self.device = device
        self.precision = precision
        self.compile = compile
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.normalize = normalize
        self.on_error = on_error
        self.verbose = verbose

    def _backbones(self):
        backbones = resolve_backbones(self.backbone)
        if len(backbones) > 1:
            raise ValueError(
                f"backbone={self.backbone!r} names several backbones; use MultiBackboneEmbedder."
            )
        return backbones


class MultiBackboneEmbedder(_BaseEmbedder):
    """Embed images with the image towers of several CLIP models, side by side.

    Each image is read and decoded once, and resized once for each different preprocessing, however
    many backbones there are. The result has one block of columns per backbone and is what
    :class:`AdaptiveBackboneEnsemble` reads; any scikit-learn estimator can.

    Parameters
    ----------
    backbones : str or list of str, default=("ViT-B-32/openai", "RN50/openai")
        ``"zoo"`` for the five models that come with the package, ``"paper"`` for the nine OpenAI
        models of [1]_, or a list of them or of any others; see
        :class:`skclipens.backbones.Backbone`.
    device : str or list of str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes CUDA where there is one,
        else MPS, else the CPU. Resolved when images are embedded, not before. The devices of a
        list, such as ``["cuda:0", "cuda:1"]``, take batches in turn.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        As in :class:`CLIPEmbedder`.
    compile : bool, default=False
        Whether to compile the image towers, as in :class:`CLIPEmbedder`.
    batch_size : int, default=64
        Number of images in a forward pass; halved where the memory of a GPU does not suffice.
    n_jobs : int or None, default=-1
        Number of threads that decode and resize images: ahead of a GPU, or in turn with the
        forward passes where these run on the same cores. -1 stands for all cores, None for 1
        unless in a :func:`joblib.parallel_config` context.
    normalize : bool, default=True
        Whether to scale each block to unit Euclidean length.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be read is an error or a row of NaN.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        1: a column of images.
    feature_names_in_ : ndarray of shape (1,)
        Name of the column; only where ``fit`` saw a frame.

    See Also
    --------
    CLIPEmbedder : One backbone.
    skclipens.make_backbone_pipeline : This and an ensemble as one classifier of images.

    References
    ----------
    .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
       Adaptive Backbone Ensembling", ICLR 2025.

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
        **_BaseEmbedder._parameter_constraints,
        "backbones": [str, "array-like"],
    }

    def __init__(
        self,
        backbones=("ViT-B-32/openai", "RN50/openai"),
        *,
        device="auto",
        precision="auto",
        compile=False,
        batch_size=64,
        n_jobs=-1,
        normalize=True,
        on_error="raise",
        verbose=False,
    ):
        self.backbones = backbones
        self.device = device
        self.precision = precision
        self.compile = compile
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.normalize = normalize
        self.on_error = on_error
        self.verbose = verbose

    def _backbones(self):
        return resolve_backbones(self.backbones)
