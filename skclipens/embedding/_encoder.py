"""Pixels through image towers."""

import copy
import threading
import warnings
from collections import deque
from itertools import cycle
from weakref import WeakKeyDictionary

import numpy as np
import torch

from ..backbones import load_backbones
from ..backbones._preprocessing import make_resize, resize_key, scale_pixels, scaling

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_towers = WeakKeyDictionary()
_lock = threading.Lock()


class ImageEncoder:
    """Embed batches of pixels with several backbones, on one device or in turn on several.

    Parameters
    ----------
    backbones : list of Backbone
    devices : list of str
    precision : {"fp32", "bf16", "fp16"}
    compile : bool
        Whether to compile the image towers.

    Attributes
    ----------
    resizes : dict of (height, width, callable)
        The different resizings of the backbones; see ``backbones._preprocessing``.
    n_ahead : int
        Number of batches worth making while one is embedded. On a CPU it is none: threads that
        decode take turns with those of the forward pass, as each can use all cores and neither
        gains from a core that the other one needs.
    pin_memory : bool
        Whether a GPU should fetch pixels by itself.
    """

    def __init__(self, backbones, *, devices, precision, compile):
        kinds = {torch.device(device).type for device in devices}
        self.n_ahead = 0 if kinds == {"cpu"} else 1 + len(devices)
        self.pin_memory = "cuda" in kinds
        self.replicas = [
            _Replica(loaded, device, precision, compile)
            for loaded, device in zip(load_backbones(backbones, devices), devices)
        ]
        self.resizes = {
            resize_key(config): (*np.broadcast_to(config["size"], 2).tolist(), make_resize(config))
            for config in self.replicas[0].configs
        }

    def __call__(self, batches):
        """Embed batches in order.

        A GPU gets its next batches before the result of the last is waited for, so that it does
        not idle.

        Parameters
        ----------
        batches : iterable of (rows, pixels)
            As :func:`skclipens.images._decoding.decode_batches` yields them.

        Yields
        ------
        rows : list of n int
        embeddings : ndarray of shape (n, sum of widths), float32
        """
        running = deque()
        for (rows, pixels), replica in zip(batches, cycle(self.replicas), strict=False):
            running.append((rows, replica(pixels)))
            if len(running) > self.n_ahead:
                rows, embeddings = running.popleft()
                yield rows, embeddings.cpu().numpy()
        for rows, embeddings in running:
            yield rows, embeddings.cpu().numpy()


class _Replica:
    """The image towers of several backbones on one device."""

    def __init__(self, loaded, device, precision, compile):
        self.device = device
        self.dtype = _DTYPES[precision]
        self.models = [image_model(one, self.dtype, compile) for one in loaded]
        self.configs = [one.preprocess_config for one in loaded]
        self.max_batch = None

    @torch.inference_mode()
    def __call__(self, pixels):
        """Embeddings of shape (n, sum of widths), float32, on the device."""
        n = len(next(iter(pixels.values())))
        start, parts = 0, []
        while start < n:
            stop = min(n, start + (self.max_batch or n))
            part = self._try({key: values[start:stop] for key, values in pixels.items()})
            if part is None:
                self._halve(stop - start)
                continue
            parts.append(part)
            start = stop
        blocks = [torch.cat(block) for block in zip(*parts, strict=True)]
        return torch.cat(blocks, dim=1)

    def _try(self, pixels):
        """One block per backbone, or None if memory does not suffice for more than one image."""
        try:
            return self._encode(pixels)
        except torch.cuda.OutOfMemoryError:
            if len(next(iter(pixels.values()))) == 1:
                raise
        return None

    def _halve(self, n):
        self.max_batch = -(-n // 2)
        warnings.warn(
            f"{n} images at once do not fit in the memory of {self.device}; going on with "
            f"{self.max_batch}. Set batch_size={self.max_batch} to avoid the failed attempts.",
            stacklevel=2,
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encode(self, pixels):
        on_device = {key: self._move(values) for key, values in pixels.items()}
        inputs, blocks = {}, []
        for model, config in zip(self.models, self.configs, strict=True):
            key = resize_key(config), *scaling(config)
            if key not in inputs:
                inputs[key] = scale_pixels(on_device[key[0]], *key[1:]).to(self.dtype)
            blocks.append(model.encode_image(inputs[key], normalize=False).float())
        return blocks

    def _move(self, pixels):
        """Pixels on the device, as (n, 3, H, W), in the memory format of the models."""
        pixels = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return pixels.contiguous(memory_format=_memory_format(self.device))


def image_model(loaded, dtype, compile=False):
    """A model whose image tower has another dtype; the rest, such as its texts, is shared.

    Weights are converted once and kept as long as the loaded model, which is faster than
    autocast: that converts them in every pass.

    Parameters
    ----------
    loaded : LoadedBackbone
    dtype : torch.dtype
    compile : bool

    Returns
    -------
    torch.nn.Module
    """
    with _lock:
        models = _towers.setdefault(loaded, {})
        if (dtype, compile) not in models:
            models[dtype, compile] = _with_tower(loaded.model, dtype, compile)
        return models[dtype, compile]


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
    # Convolutions gain from it on CPU and CUDA, and nothing else loses.
    is_mps = torch.device(device).type == "mps"
    return torch.contiguous_format if is_mps else torch.channels_last
