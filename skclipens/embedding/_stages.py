"""Embed images by stages: one backbone each, for ever fewer images, which are decoded once."""

from contextlib import closing
from functools import cached_property, partial

import numpy as np

from .._utils._linalg import normalize_blocks
from .._utils._progress import progress
from ..backbones import load_backbones
from ..backbones._devices import resolve_precision
from ..images._batch_checks import refuse_missing, warn_of_images
from ..images._pillow_warnings import recorded, warn_of
from ._reading import as_store, embed_with_store, keys_ahead, models_of

_BATCHES = 8  # of images that go through all stages together


class Stages:
    """Iterator over parts of the images, with a function that embeds rows of a part at a stage.

    A part is a few batches. The resized pixels that later stages need are kept until the last stage
    has read them. An image is decoded again only if a later stage needs more pixels than it was
    decoded at, see :func:`skclipens.images._load.load_pictures`. Embeddings, also stored ones, are
    the same to the last digit as those of the stage's backbone alone.

    Parameters
    ----------
    embedder : BaseEmbedder
        Stage k is the k-th of its blocks.
    images : sequence of n images

    Yields
    ------
    rows : range
    embed : callable
        ``embed(stage, some)`` returns embeddings of some of the rows, in increasing order, of shape
        (len(some), width). It is called for the stages in order, with ever fewer rows.
    """

    def __init__(self, embedder, images):
        embedder._validate_params()
        self.embedder, self.images = embedder, images
        self.blocks, self.devices = embedder._blocks(), embedder._devices()
        self.precision = resolve_precision(embedder.precision, self.devices[0])
        self.store = as_store(embedder.cache)
        self.notes = {}

    def __iter__(self):
        warn_of_images(self.images)
        refuse_missing(self.images)
        n, size = len(self.images), _BATCHES * self.embedder.batch_size
        parts = (range(start, min(start + size, n)) for start in range(0, n, size))
        if self.store is None:
            parts = ((rows,) for rows in parts)
        else:  # keys are made before any image is decoded
            parts = keys_ahead(self.images, parts, self.store, self.notes)
        with progress(n, self.embedder.verbose) as bar, closing(parts):
            for rows, *known in parts:
                yield rows, _Part(self, rows, known).embed
                bar.update(len(rows))
        warn_of(self.notes, self.images)

    @cached_property
    def encoders(self):
        """One encoder per stage, made when the first image has to be embedded."""
        # In one call, because all models of a call stay in the cache, however many they are.
        load_backbones([block.backbone for block in self.blocks], self.devices)
        make = self.embedder._encoder
        return [make([block], self.devices, self.precision) for block in self.blocks]

    @cached_property
    def models(self):
        """Key and width of each stage, as :func:`embed_with_store` takes them."""
        return models_of(self.blocks, self.precision, self.embedder.decode, self.store)


class _Part:
    def __init__(self, stages, rows, known):
        self.stages, self.rows, self.known = stages, rows, known
        self.pixels = {}  # by row, as later stages need them

    def embed(self, stage, rows):
        from torch.utils.data import Subset

        stages = self.stages
        self.pixels = {row: self.pixels[row] for row in rows.tolist() if row in self.pixels}
        with recorded():
            known = [[one[row - self.rows.start] for row in rows] for one in self.known]
            models, some, notes = [stages.models[stage]], Subset(stages.images, rows), {}
            compute = partial(self._compute, stage, rows, notes)
            values = embed_with_store(stages.store, some, models, compute, known, notes)
        stages.notes |= {rows[at]: texts for at, texts in notes.items()}
        if stages.embedder.normalize:
            normalize_blocks(values, [slice(None)])
        return values

    def _compute(self, stage, rows, notes, positions, which):
        """Yield positions in the rows, a batch at a time, with their embeddings.

        Warnings about images are added to `notes`, by position.
        """
        from ..images._decoding import Kept

        stages, encoder = self.stages, self.stages.encoders[stage]
        later = {}
        for one in stages.encoders[stage + 1 :]:
            later |= one.resizes
        kept = Kept(later, self.pixels)
        embed = stages.embedder._encode
        wanted, said = (rows[at] for at in positions), {}
        for done, values in embed(encoder, stages.images, wanted, said, kept):
            places = np.searchsorted(rows, done).tolist()
            notes |= {at: said[row] for at, row in zip(places, done) if row in said}
            yield places, values
