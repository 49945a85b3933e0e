"""What is doubted of many pictures that one of them cannot tell."""

import numpy as np
import pytest
import torch
from _said import said

from skclipens import CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.images import load_image

FILES = load_emoji().filenames[::100]
PIXELS = np.stack([load_image(file) for file in FILES])
CHANNELS_FIRST = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
FLAT = CHANNELS_FIRST.reshape(len(PIXELS), -1)  # as files of CIFAR-10 have them
EMBEDDER = CLIPEmbedder("zoo/RN20", device="cpu")
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (FLAT.reshape(-1, 64, 64, 3), r"reshape(n, 3, H, W).transpose(0, 2, 3, 1)"),
        ([*(FLAT / 255).reshape(-1, 64, 64, 3)], r"reshape(n, 3, H, W).transpose(0, 2, 3, 1)"),
        (
            torch.from_numpy(PIXELS).reshape(-1, 3, 64, 64),
            "reshape(n, H, W, 3).permute(0, 3, 1, 2)",
        ),
    ],
)
def test_reshape_in_place_of_transpose_is_doubted(images, advice):
    (text,) = said(EMBEDDER.transform, images)
    assert "Pixels seem to be scrambled, such as those of row 0" in text and advice in text
    assert not said(EMBEDDER.transform, images[:9])


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        FLAT.reshape(-1, 3, 64, 64).transpose(0, 2, 3, 1),
        torch.from_numpy(CHANNELS_FIRST),
        [*FLAT[:5].reshape(-1, 64, 64, 3), *PIXELS],
        RANDOM.integers(256, size=(20, 16, 16, 3), dtype=np.uint8),
        # of grey lines, and of brown ones
        np.broadcast_to(RANDOM.integers(256, size=(20, 64, 1, 1)), (20, 64, 64, 3)),
        np.broadcast_to(RANDOM.random((20, 64, 1, 1)), (20, 64, 64, 3)) * [1, 0.98, 0.96],
    ],
)
def test_right_pixels_are_not(images):
    assert not said(EMBEDDER.transform, images)
