"""Embed images with one CLIP backbone or with several."""

import os
from contextlib import closing
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from .._utils._docstrings import fill_doc
from .._utils._linalg import unit_rows
from .._utils._progress import progress
from .._utils._sklearn import Interval, StrOptions, fit_context
from ..backbones import resolve_backbones
from ..backbones._devices import resolve_device, resolve_precision
from ..images import as_image_list
from ._keys import model_key
from ._reading import as_store, embed_with_store
from ._store import EmbeddingStore


class _BaseEmbedder(TransformerMixin, BaseEstimator):
    """Images to one block of columns per backbone; each image is decoded once."""

    _parameter_constraints: dict = {
        "device": [str, "array-like"],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "compile": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
        "normalize": ["boolean"],
        "cache": [None, "boolean", str, os.PathLike, EmbeddingStore],
        "on_error": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        device="auto",
        precision="auto",
        compile=False,
        batch_size=64,
        n_jobs=-1,
        normalize=True,
        cache=None,
        on_error="raise",
        verbose=False,
    ):
        self.device = device
        self.precision = precision
        self.compile = compile
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.normalize = normalize
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
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
        backbones, devices = self._backbones(), self._devices()
        precision = resolve_precision(self.precision, devices[0])
        store = as_store(self.cache)
        with progress(len(images), self.verbose) as bar:
            embed = partial(self._embed, images, backbones, devices, precision, bar)
            if store is None:
                embeddings = np.full(
                    (len(images), sum(backbone.width for backbone in backbones)), np.nan, np.float32
                )
                for rows, values in embed(range(len(images)), range(len(backbones))):
                    embeddings[rows] = values
            else:
                models = [(model_key(one, precision, store), one.width) for one in backbones]
                embeddings = embed_with_store(store, images, models, embed)
            bar.update(len(images) - bar.n)
        return self._normalized(embeddings, backbones) if self.normalize else embeddings

    def embed_to(self, folder, X, *, chunk_size=1024, resume=True):
        """Embed more images than memory holds, into a folder of Parquet files.

        A call that was interrupted goes on with the chunks that are not written. Chunks are tasks
        of joblib: by default they run in turn in this process, and in a
        :func:`joblib.parallel_config` context in several, also of a Dask cluster.

        Parameters
        ----------
        folder : str or os.PathLike
            Folder or fsspec URL, new or of an earlier call with the same images and parameters.
        X : str, os.PathLike or collection of n of these
            Names of images: a collection of paths and URLs of fsspec (``"s3://..."``,
            ``"zip://cat.png::pets.zip"``), a pattern (``"pets/**/*.jpg"``), a folder, or a
            ``.txt`` file with one name per line. A name that ends in ``.tar`` stands for the
            images in this shard, in its order.
        chunk_size : int, default=1024
            Number of images in a file, which each process holds at a time and can lose.
        resume : bool, default=True
            Whether to keep chunks that are written already, or to write all again.

        Returns
        -------
        list of str
            The files, in the order of the images: frames indexed by the names of the images, with
            columns ``BACKBONE__i``. :func:`skclipens.streaming.read_embeddings` reads them.

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error="raise"``; names the row and the image.
        OSError
            If a file system fails otherwise than by lacking the image, whatever ``on_error``.
        ValueError
            If there are no images, or `folder` holds something else.

        Notes
        -----
        ``precision="auto"`` is settled where the call is made. An image that changes under its
        name (in a shard, at its place) is not noticed in a folder that is resumed.
        """
        from ._streaming import embed_to

        return embed_to(self, folder, X, chunk_size=chunk_size, resume=resume)

    def _embed(self, images, backbones, devices, precision, bar, rows, which):
        """Yield rows that can be read, a batch at a time, with their embeddings."""
        from ..images._decoding import decode_batches
        from ._encoder import ImageEncoder

        encoder = ImageEncoder(
            [backbones[i] for i in which],
            devices=devices,
            precision=precision,
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
            for done, values in encoder(batches):
                yield done, values
                bar.update(len(done))

    def _normalized(self, embeddings, backbones):
        ends = np.cumsum([backbone.width for backbone in backbones])
        return np.concatenate(
            [unit_rows(block) for block in np.split(embeddings, ends[:-1], axis=1)], axis=1
        )

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


@fill_doc()
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
    %(embedder)s

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
        cache=None,
        on_error="raise",
        verbose=False,
    ):
        self.backbone = backbone
        super().__init__(
            device=device,
            precision=precision,
            compile=compile,
            batch_size=batch_size,
            n_jobs=n_jobs,
            normalize=normalize,
            cache=cache,
            on_error=on_error,
            verbose=verbose,
        )

    def _backbones(self):
        backbones = resolve_backbones(self.backbone)
        if len(backbones) > 1:
            raise ValueError(
                f"backbone={self.backbone!r} names several backbones; use MultiBackboneEmbedder."
            )
        return backbones


@fill_doc()
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
    %(embedder)s

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
        cache=None,
        on_error="raise",
        verbose=False,
    ):
        self.backbones = backbones
        super().__init__(
            device=device,
            precision=precision,
            compile=compile,
            batch_size=batch_size,
            n_jobs=n_jobs,
            normalize=normalize,
            cache=cache,
            on_error=on_error,
            verbose=verbose,
        )

    def _backbones(self):
        return resolve_backbones(self.backbones)
