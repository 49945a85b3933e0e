"""Base class of the embedders."""

from contextlib import closing
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_consistent_length

from .._utils._linalg import normalize_blocks, side_by_side
from .._utils._one_column import check_column, named_in_errors
from .._utils._progress import progress
from .._utils._sklearn import InOrder, Interval, StrOptions, as_output, fit_context
from ..backbones import load_backbones
from ..backbones._available import check_available
from ..backbones._devices import resolve_device, resolve_precision
from ..backbones._prompt_checks import warn_of_texts
from ..backbones._prompts import check_templates, check_texts
from ..images import as_image_list
from ..images._batch_checks import refuse_missing, warn_of_images
from ..images._collections import paths_of
from ..images._file_names import warn_of_named_files
from ..images._pillow_warnings import recorded, warn_of
from ..images._texts import refuse_files
from ..images._views import VIEWS
from ._plan import FEATURES, plan_blocks
from ._reading import CACHE_CONSTRAINTS, as_store, embed_with_store, models_of
from ._streaming import embed_to
from ._texts import embed_classes
from ._weights import WeightsMixin


class BaseEmbedder(WeightsMixin, TransformerMixin, BaseEstimator):
    """Base class that embeds images in blocks of columns; each image is decoded once.

    A subclass defines ``_backbones()``, which returns the list of its backbones.
    """

    _parameter_constraints: dict = {
        "features": [StrOptions(set(FEATURES))],
        "views": [None, StrOptions(set(VIEWS)), InOrder()],
        "keep_plain": ["boolean"],
        "device": [str, InOrder()],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "decode": [StrOptions({"auto", "exact"})],
        "compile": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
        "normalize": ["boolean"],
        "cache": CACHE_CONSTRAINTS,
        "on_error": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the form of the input; nothing is learned.

        Parameters
        ----------
        X : collection of n images
            See :meth:`transform`.
        y : array-like of shape (n, ...) or None, default=None
            Only checked, before a later step of a pipeline would.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is no collection of images, y has another length, or a parameter is invalid, such
            as a backbone that is unknown or a device that does not exist.
        BackboneNotAvailableError
            If weights are not on this machine and cannot be fetched.

        Warns
        -----
        SuspectedMistakeWarning
            If folders or names of files say other classes than the labels in y.
        """
        images = as_image_list(X)
        check_consistent_length(images, y)
        if y is not None:
            warn_of_named_files(paths_of(images), y)
        self._blocks()
        self._devices()
        if as_store(self.cache) is None:  # with a store, no model may be needed
            for backbone in self._backbones():
                check_available(backbone)
        self._note_embedding(self._backbones())
        check_column(self, X, reset=True)
        return self

    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : collection of n images
            A list, array, Series or one-column frame of paths, bytes of encoded files, PIL images,
            arrays or tensors; see :func:`skclipens.images.load_image`. An array of shape
            (n, H, W, 3) and a tensor of shape (n, 3, H, W) are batches of images. A dataset, or
            another sequence that makes its items on demand, is read one item at a time, by threads
            that decode and resize in parallel.

        Returns
        -------
        ndarray of shape (n, n_columns), float32
            Blocks of columns in the order of the backbones: one each, unless `features` or
            `keep_plain` ask for more. A DataFrame if set by ``set_output``.

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error="raise"``; names the row and the file.
        BackboneNotAvailableError
            If the weights of a backbone cannot be loaded.
        ValueError
            If features are not finite, for example because of damaged weights or of numbers that
            are too large for ``precision="fp16"``; names the backbone. If the column of a DataFrame
            has another name than in ``fit``.

        Warns
        -----
        SuspectedMistakeWarning
            If Pillow warns about images, for example about damaged tags, or if the pixels of an
            image are nearly black for their dtype; names the first image. If many images together
            look wrong, such as arrays scrambled by ``reshape``, or one array that was filled again
            for each row.
        """
        self._validate_params()
        self._warn_of_changes()
        check_column(self, X, reset=False)
        images = as_image_list(X)
        warn_of_images(images)
        with named_in_errors(X):
            embeddings, notes = self._transform(images)
        warn_of(notes, images)
        return embeddings

    def _settings(self):
        """Return the settings that embeddings depend on, besides weights and the machine."""
        blocks = [(block.kind.name, block.views) for block in self._blocks()]
        return {"columns": blocks, "decode": self.decode, "normalize": self.normalize}

    def _transform(self, images, is_part=False):
        """Return embeddings, and warnings about images by row; `images` may be part of a table."""
        blocks, devices = self._blocks(), self._devices()
        precision = resolve_precision(self.precision, devices[0])
        store, notes = as_store(self.cache), {}

        def embed(rows, which):
            """Yield the rows of readable images, a batch at a time, with their embeddings."""
            if self.on_error == "raise":
                refuse_missing(images)
            encoder = self._encoder([blocks[i] for i in which], devices, precision)
            with closing(self._encode(encoder, images, rows, notes, is_part=is_part)) as batches:
                for done, values in batches:
                    yield done, values
                    bar.update(len(done))

        with progress(len(images), self.verbose) as bar, recorded():
            models = models_of(blocks, precision, self.decode, store)
            embeddings = embed_with_store(store, images, models, embed, notes=notes)
            bar.update(len(images) - bar.n)
        if self.normalize:
            normalize_blocks(embeddings, side_by_side([block.width for block in blocks]))
        return embeddings, notes

    def embed_text(self, texts, *, templates=("{}",)):
        """Embed texts, in the same columns as images, to find images by words.

        The dot product of a block of a text and the same block of an image is their cosine
        similarity, since both have unit length. A text is truncated to the number of tokens that a
        model reads (77 in most).

        Parameters
        ----------
        texts : list, array or Series of n str
            Texts, such as captions or names of classes. "_" in a text becomes a space.
        templates : sequence of str, default=("{}",)
            Prompts, each with one ``{}`` for the text. The embedding of a text is the mean over
            its prompts, each scaled to unit length.

        Returns
        -------
        ndarray of shape (n, n_columns), float32
            The columns of :meth:`get_feature_names_out`; each block has unit length, also with
            ``normalize=False``. A DataFrame, with the index of a Series of texts, if set by
            ``set_output``.

        Raises
        ------
        ValueError
            If `texts` is not a list of strings, one is the path of a file, or a block cannot be
            compared with texts: pooled features, or an image tower of timm.
        OSError
            If a text is the name of an image that does not exist, or the path of a folder.
        BackboneNotAvailableError
            If the weights or the tokenizer of a backbone cannot be loaded.

        Warns
        -----
        SuspectedMistakeWarning
            If a text is truncated.

        See Also
        --------
        skclipens.ImageRetriever : Finds images by words, with all backbones.

        Examples
        --------
        >>> from skclipens import CLIPEmbedder
        >>> from skclipens.datasets import load_emoji
        >>> emoji, embedder = load_emoji(), CLIPEmbedder("zoo/RN20")
        >>> cosines = embedder.transform(emoji.filenames) @ embedder.embed_text(["a bicycle"]).T
        >>> print(emoji.frame["name"][cosines.argmax()])
        bicycle
        """
        self._validate_params()
        given, texts, templates = texts, check_texts(texts), check_templates(templates)
        refuse_files(texts, "Pass pictures to transform.")
        blocks = self._blocks()
        for block in blocks:
            if not block.kind.has_text:
                advice = "Take features='projected', which a text tower can read."
                if not block.backbone.has_text:
                    advice = "This backbone is an image tower: take a CLIP model instead."
                raise ValueError(f"Block {block.kind.name!r} has no texts. {advice}")
        # Blocks of one backbone, as with keep_plain=True, share its text features.
        backbones = list(dict.fromkeys(block.backbone for block in blocks))
        load_backbones(backbones, self._devices()[:1])
        warn_of_texts(backbones, texts, templates)
        found = {
            one: embed_classes(one, texts, templates, cache=self.cache)[0] for one in backbones
        }
        values = np.concatenate([found[block.backbone] for block in blocks], axis=1)
        return as_output("transform", values, given, self)

    def embed_to(self, folder, X, *, protocols=("file",), chunk_size=1024, resume=True):
        """Embed more images than memory holds, into a folder of Parquet files.

        If a call is interrupted, the next one continues with the chunks that are missing. Chunks
        are joblib tasks: by default they run one after the other in this process, and within
        :func:`joblib.parallel_config` in several processes or on a Dask cluster.

        Parameters
        ----------
        folder : str or os.PathLike
            Folder or fsspec URL, new or of an earlier call with the same images and parameters.
        X : str, os.PathLike or collection of n of these
            Names of images: a collection of paths and URLs of fsspec (``"s3://..."``,
            ``"zip://cat.png::pets.zip"``), a pattern (``"pets/**/*.jpg"``), a folder, whose
            images are in the order of :func:`skclipens.datasets.load_folder`, or a ``.txt`` file
            with one name per line. A name that ends in ``.tar`` stands for the
            images in this shard, in its order.
        protocols : sequence of str, default=("file",)
            The fsspec protocols by which images may be fetched, such as ``("file", "s3")``: every
            link of a chain needs one of these, or ``tar`` or ``zip``, which look into the file
            that the next link names. Names from others could make this machine fetch any address
            that it can reach, so add protocols only if you trust the names. An allowed server can
            redirect to any other, also to a private address.
        chunk_size : int, default=1024
            Number of images per file, and the number that each process keeps in memory.
        resume : bool, default=True
            Whether to keep existing chunks that are undamaged and belong to the same files (they
            are read to check this), or to write all chunks again.

        Returns
        -------
        list of str
            Paths or URLs of the files, in the order of the images. Each contains a DataFrame
            indexed by the names of the images, with the columns of :meth:`get_feature_names_out`.
            :func:`skclipens.embedding.read_embeddings` reads the folder.

        Raises
        ------
        ImageError
            If an image cannot be read, or needs another protocol, and ``on_error="raise"``;
            names the row and the image.
        OSError
            If a file system fails, or `folder` is full, whatever ``on_error``. If an image, or the
            protocol, driver, host or archive of its URL, does not exist, or a server refuses it
            (401, 403, 410 or 451), the image counts as one that cannot be read.
        ValueError
            If there are no images, a shard is compressed or damaged, or `folder` holds something
            else or a damaged manifest, or a call with other images or parameters begins in it.

        Warns
        -----
        UserWarning
            If images need another protocol and ``on_error="nan"``, or for the reasons of
            `transform`.

        Notes
        -----
        ``precision="auto"`` is resolved on the machine that makes the call. If a call is resumed,
        chunks are embedded again if the size or time of one of their local files or shards has
        changed. Changes of images behind a URL, and those that keep size and time, are not noticed:
        pass ``resume=False``. Images that could not be read are tried again.
        """
        return embed_to(self, folder, X, protocols=protocols, chunk_size=chunk_size, resume=resume)

    def _encoder(self, blocks, devices, precision):
        from ._encoder import ImageEncoder

        options = {"compile": self.compile, "decode": self.decode}
        return ImageEncoder(blocks, devices=devices, precision=precision, **options)

    def _encode(self, encoder, images, rows, notes, kept=None, is_part=False):
        from ..images._decoding import decode_batches

        batches = decode_batches(
            images,
            rows,
            encoder.resizes,
            batch_size=self.batch_size,
            n_jobs=self.n_jobs,
            n_ahead=encoder.n_ahead,
            on_error=self.on_error,
            pin_memory=encoder.pin_memory,
            notes=notes,
            kept=kept,
        )
        with closing(batches):
            yield from encoder(batches, self.batch_size, is_part)

    def _blocks(self):
        return plan_blocks(
            self._backbones(),
            features=self.features,
            views=self.views,
            keep_plain=self.keep_plain,
        )

    def _devices(self):
        devices = [self.device] if isinstance(self.device, str) else list(self.device)
        if not devices:
            raise ValueError("device is empty; 'auto' takes the best that there is.")
        return [resolve_device(device) for device in devices]

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns, ``BACKBONE__i``.

        Other features are named ``BACKBONE@pooled__i`` and ``BACKBONE@intermediate__i``. With
        `views`, names are ``BACKBONE@views__i``, ``BACKBONE@pooled+views__i`` and
        ``BACKBONE@intermediate+views__i``.

        Parameters
        ----------
        input_features : None or array-like of str
            Ignored.

        Returns
        -------
        ndarray of shape (n_columns,), dtype object
            Names of the columns of the output.
        """
        blocks = [(block.kind.name, block.width) for block in self._blocks()]
        return np.array([f"{name}__{i}" for name, width in blocks for i in range(width)], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
