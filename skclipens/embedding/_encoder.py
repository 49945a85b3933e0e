"""Encode batches of pixels with image towers."""

import copy
import math
from collections import deque
from itertools import chain, cycle, islice
from weakref import WeakKeyDictionary

import numpy as np
import torch

from .._utils._linalg import side_by_side
from .._utils._locks import ForkLock
from .._utils._warnings import warn
from ..backbones import load_backbones
from ..backbones._devices import without_autocast
from ..backbones._preprocessing import Resize, resize_key, resized_side, scale_pixels, scaling
from ..backbones._towers import SeveralFeatures, intermediate_layer
from ..images._reduced import DECODE_MARGIN, EXACT
from ..images._views import PLAIN
from ._finite import check_finite

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# On a CPU, last digits depend on the number of rows if there are fewer.
_FEWEST = 16

_towers = WeakKeyDictionary()
_lock = ForkLock()


class ImageEncoder:
    """Encoder of batches of pixels with several backbones, on one or several devices.

    Several devices take batches in turn. A view that several blocks need is encoded once.

    Parameters
    ----------
    blocks : list of PlannedBlock
    devices : list of str
    precision : {"fp32", "bf16", "fp16"}
    compile : bool
        Whether to compile the image towers.
    decode : {"auto", "exact"}
        See :class:`skclipens.CLIPEmbedder`.

    Raises
    ------
    ValueError
        If the weights of a model in memory were changed, or it is in training mode.

    Attributes
    ----------
    resizes : dict of (height, width, side, callable)
        The different crops and resizings that are needed; see ``backbones._preprocessing``.
    n_ahead : int
        Number of batches to prepare while one is embedded. On a CPU it is 0: decoding and forward
        passes take turns, as each can use all cores and neither gains from a core that the other
        needs.
    pin_memory : bool
        Whether pixels should be in memory that a GPU reads by itself.
    """

    def __init__(self, blocks, *, devices, precision, compile, decode):
        self.precision = precision
        self.blocks = blocks
        kinds = {torch.device(device).type for device in devices}
        self.on_cpu = kinds == {"cpu"}
        self.n_ahead = 0 if self.on_cpu else 1 + len(devices)
        self.pin_memory = "cuda" in kinds
        loaded = load_backbones(list(dict.fromkeys(block.backbone for block in blocks)), devices)
        for one in chain.from_iterable(loaded):
            one._check_unchanged()
        self.replicas = [
            _Replica(models, blocks, device, precision, compile)
            for models, device in zip(loaded, devices)
        ]
        self.resizes = {
            (resize_key(tower.config), view.box): _resize(tower.config, view.box, decode)
            for tower in self.replicas[0].towers
            for view in tower.views
        }

    def __call__(self, batches, most, is_part=False):
        """Yield rows and their embeddings, (n, sum of widths), float32, in order.

        A GPU gets its next batches before the last result is waited for, so that it does not idle.

        Small batches are filled up, because the last digits of a row depend on their size: a
        picture that occurs twice, in batches of different size, is known by its equal rows. A small
        batch that is the only one stays as it is.

        Batches are those of :func:`skclipens.images._decoding.decode_batches`, with `most` rows if
        they are full. `is_part` is whether there are batches of the same images in other calls.
        Raise ValueError, which names the backbone, if embeddings are not finite.
        """
        running = deque()
        # Elsewhere, a device may have another kernel for any number of rows.
        fewest = min(most, _FEWEST) if self.on_cpu else most
        batches = iter(batches)
        begun = list(islice(batches, 1))
        if begun and len(begun[0][0]) < fewest and not is_part:
            begun += islice(batches, 1)
            fewest = fewest if len(begun) == 2 else 1
        batches = zip(chain(begun, batches), cycle(self.replicas), strict=False)
        for (rows, pixels), replica in batches:
            running.append((rows, replica(pixels, fewest)))
            if len(running) > self.n_ahead:
                rows, embeddings = running.popleft()
                yield rows, self._finite(embeddings.cpu().numpy())
        for rows, embeddings in running:
            yield rows, self._finite(embeddings.cpu().numpy())

    def _finite(self, embeddings):
        """Return the embeddings; raise if they are not finite, as NaN means an unreadable image."""
        columns = side_by_side([block.width for block in self.blocks])
        for block, of_block in zip(self.blocks, columns, strict=True):
            check_finite(embeddings[:, of_block], block.backbone.name, self.precision)
        return embeddings


def _filled(pixels, n):
    """Return pixels of n images, by repeating the last one; without a copy if none is lacking."""
    lacking = n - len(pixels)
    return torch.cat([pixels, pixels[-1:].expand(lacking, -1, -1, -1)]) if lacking else pixels


def _resize(config, box, decode):
    """Return height and width of a model's input, the side to decode at, and the resizing."""
    side = EXACT
    if decode == "auto":
        part = min(box[2] - box[0], box[3] - box[1])
        side = math.ceil(DECODE_MARGIN * resized_side(config) / part)
    return (*np.broadcast_to(config["size"], 2).tolist(), side, Resize(config, box))


class _Replica:
    """The image towers of several backbones on one device."""

    def __init__(self, loaded, blocks, device, precision, compile):
        self.device = device
        self.dtype = _DTYPES[precision]
        self.towers = [_Tower(one, blocks, self.dtype, compile) for one in loaded]
        self.max_batch = None

    @torch.inference_mode()
    def __call__(self, pixels, fewest=1):
        """Return embeddings of shape (n, sum of widths), float32, on the device.

        No forward pass has fewer than `fewest` rows, unless memory does not suffice for them.
        """
        n = len(next(iter(pixels.values())))
        start, parts = 0, []
        while start < n:
            stop = min(n, start + (self.max_batch or n))
            n_rows = max(stop - start, min(fewest, self.max_batch or fewest))
            part = self._try(
                {key: _filled(values[start:stop], n_rows) for key, values in pixels.items()}
            )
            if part is None:
                self._halve(n_rows)
                continue
            parts.append(part[: stop - start])
            start = stop
        return torch.cat(parts)

    def _try(self, pixels):
        """Return embeddings, or None if memory suffices only for fewer images."""
        try:
            with without_autocast(self.device):
                return self._encode(pixels)
        except torch.cuda.OutOfMemoryError:
            if len(next(iter(pixels.values()))) == 1:
                raise
        return None

    def _halve(self, n):
        self.max_batch = -(-n // 2)
        warn(
            f"{n} images at once do not fit in the memory of {self.device}; going on with "
            f"{self.max_batch}. Set batch_size={self.max_batch} to avoid the failed attempts.",
            UserWarning,
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encode(self, pixels):
        on_device = {key: self._move(values) for key, values in pixels.items()}
        inputs, blocks = {}, {}
        for tower in self.towers:
            for view in tower.views:
                key = (resize_key(tower.config), view.box), *tower.scaling
                if key not in inputs:
                    inputs[key] = scale_pixels(on_device[key[0]], *key[1:]).to(self.dtype)
                seen = inputs[key].flip(-1) if view.mirror else inputs[key]
                tower.add(view, tower.features(seen), blocks)
        return torch.cat([blocks[place] for place in sorted(blocks)], dim=1)

    def _move(self, pixels):
        """Move pixels to the device, as (n, 3, H, W), in the memory format of the models."""
        pixels = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return pixels.contiguous(memory_format=_memory_format(self.device))


class _Tower:
    """The image tower of one backbone, and the blocks that are made of its features."""

    def __init__(self, loaded, blocks, dtype, compile):
        self.config = loaded.preprocess_config
        self.scaling = scaling(self.config)
        self.blocks = {
            place: block for place, block in enumerate(blocks) if block.backbone == loaded.backbone
        }
        views = [view for block in self.blocks.values() for view in block.views or [PLAIN]]
        self.views = list(dict.fromkeys(views))
        wanted = {block.kind.features for block in self.blocks.values()}
        if wanted == {"projected"}:
            encode = image_model(loaded, dtype, compile).encode_image
            self._forward = lambda pixels: {"projected": encode(pixels, normalize=False)}
        else:
            inner = "intermediate" in wanted
            self._forward = several_features(loaded, inner, dtype, compile)

    def features(self, pixels):
        """Return the kinds of features by name, float32, from one forward pass."""
        return {kind: features.float() for kind, features in self._forward(pixels).items()}

    def add(self, view, features, sums):
        """Add the features of a view to the blocks that use it, in `sums` by their positions."""
        for place, block in self.blocks.items():
            if view not in (block.views or [PLAIN]):
                continue
            values = features[block.kind.features]
            if block.views is not None:
                values = torch.nn.functional.normalize(values, dim=-1) / len(block.views)
            sums[place] = sums[place] + values if place in sums else values


def image_model(loaded, dtype, compile=False):
    """Return a model whose image tower has the dtype; other parts, such as texts, are shared.

    Weights are converted once and kept as long as the loaded model. This is faster than autocast,
    which converts them in every pass.
    """
    return _kept(loaded, (dtype, compile), lambda: _with_tower(loaded.model, dtype, compile))


def several_features(loaded, with_intermediate, dtype, compile):
    """Return a function from pixels to features by their kind, with shared weights.

    Raise ValueError if the parts of the image tower are unknown, which give them.
    """
    tower, backbone = image_model(loaded, dtype).visual, loaded.backbone

    def make():
        place = intermediate_layer(backbone)[0] if with_intermediate else None
        several = SeveralFeatures(tower, backbone.name, place)
        return torch.compile(several) if compile else several

    return _kept(loaded, (dtype, compile, with_intermediate), make)


def _kept(loaded, key, make):
    """Return the result of `make`, which is called once while the loaded model is kept."""
    with _lock:
        made = _towers.setdefault(loaded, {})
        if key not in made:
            made[key] = make()
        return made[key]


def _with_tower(model, dtype, compile):
    tower = model.visual
    if dtype != torch.float32:
        tower = copy.deepcopy(tower)
    device = next(model.parameters()).device
    tower = tower.to(dtype=dtype, memory_format=_memory_format(device))
    twin = copy.copy(model)
    twin._modules = {**model._modules, "visual": torch.compile(tower) if compile else tower}
    return twin


def _memory_format(device):
    # Faster for convolutions on CPU and CUDA, and no slower for anything else.
    is_mps = torch.device(device).type == "mps"
    return torch.contiguous_format if is_mps else torch.channels_last
