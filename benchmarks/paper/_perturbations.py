"""Perturbations of images, each at five strengths, by the operators of torchvision.

Lengths are shares of an image's shorter side, so that strengths mean the same at any size. What
is random (a sign, a place, noise) depends on the seed, the image's position and the perturbation,
not on the strength: the five versions of an image differ in strength alone.
"""

import zlib

import numpy as np
from scipy.ndimage import gaussian_filter

from skclipens.images import load_image

LEVELS = (1, 2, 3, 4, 5)
_GREY = 128


def gaussian_noise(image, sigma, rng):
    """Add noise with a standard deviation of ``sigma``; 1 is the range of a channel."""
    import torch
    from torchvision.transforms.v2 import functional as F

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        noisy = F.gaussian_noise(F.to_dtype(image, torch.float32, scale=True), sigma=sigma)
    return F.to_dtype(noisy, torch.uint8, scale=True)


def gaussian_blur(image, sigma, rng):
    """Blur with a standard deviation of ``sigma`` shorter sides."""
    from torchvision.transforms.v2 import functional as F

    pixels = sigma * min(image.shape[1:])
    return F.gaussian_blur(image, [2 * int(np.ceil(3 * pixels)) + 1] * 2, [pixels] * 2)


def jpeg(image, quality, rng):
    """Compress as JPEG."""
    from torchvision.transforms.v2 import functional as F

    return F.jpeg(image, quality)


def brightness(image, change, rng):
    """Multiply by 1 + ``change`` or 1 - ``change``."""
    from torchvision.transforms.v2 import functional as F

    return F.adjust_brightness(image, 1 + change * _sign(rng))


def contrast(image, factor, rng):
    """Keep this share of the contrast."""
    from torchvision.transforms.v2 import functional as F

    return F.adjust_contrast(image, factor)


def saturation(image, factor, rng):
    """Multiply the saturation."""
    from torchvision.transforms.v2 import functional as F

    return F.adjust_saturation(image, factor)


def hue(image, turn, rng):
    """Shift the hue by this share of the colour wheel, in either direction."""
    from torchvision.transforms.v2 import functional as F

    return F.adjust_hue(image, turn * _sign(rng))


def greyscale(image, share, rng):
    """Mix with the image in grey."""
    from torchvision.transforms.v2 import functional as F

    return F.adjust_saturation(image, 1 - share)


def posterize(image, bits, rng):
    """Keep this many bits of each channel."""
    from torchvision.transforms.v2 import functional as F

    return F.posterize(image, bits)


def solarize(image, threshold, rng):
    """Invert what is at least as bright as the threshold, of 255."""
    from torchvision.transforms.v2 import functional as F

    return F.solarize(image, threshold)


def rotation(image, degrees, rng):
    """Rotate in either direction; corners take the border's colour."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    degrees = degrees * _sign(rng)
    return _warp(image, lambda pixels: F.rotate(pixels, degrees, InterpolationMode.BILINEAR))


def perspective(image, distortion, rng):
    """Move each corner inwards, by up to this share of half a side."""
    from torchvision.transforms.v2 import functional as F

    height, width = image.shape[1:]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moves = inwards * rng.uniform(0.5, 1, (4, 2)) * distortion * np.array([width, height]) / 2
    ends = (corners + moves).round().astype(int)
    return _warp(image, lambda pixels: F.perspective(pixels, corners.tolist(), ends.tolist()))


def elastic(image, displacement, rng):
    """Displace pixels smoothly; ``displacement`` is the root mean square, in shorter sides."""
    import torch
    from torchvision.transforms.v2 import functional as F

    height, width = image.shape[1:]
    side = min(height, width)
    field = rng.standard_normal((2, height, width)).astype(np.float32)
    # Not with torchvision, whose time grows with the square of the kernel.
    field = torch.from_numpy(gaussian_filter(field, (0, side / 12, side / 12), truncate=2.4))
    # In the units of torch's sampling grid an image is two wide and two high.
    field = field / field.square().mean().sqrt() * displacement * 2
    field *= torch.tensor([side / width, side / height])[:, None, None]
    return _warp(image, lambda pixels: F.elastic(pixels, field.permute(1, 2, 0)[None]))


def pixelate(image, share, rng):
    """Shrink to this share of the size, and enlarge again without smoothing."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    size = list(image.shape[1:])
    small = F.resize(image, [max(round(share * side), 1) for side in size], antialias=True)
    return F.resize(small, size, InterpolationMode.NEAREST)


def occlusion(image, share, rng):
    """Cover a square with this share of the shorter side, in grey, somewhere."""
    import torch
    from torchvision.transforms.v2 import functional as F

    height, width = image.shape[1:]
    side = round(share * min(height, width))
    top, left = (int(rng.random() * (length - side + 1)) for length in (height, width))
    grey = torch.full((1, 1, 1), _GREY, dtype=torch.uint8)
    return F.erase(image, top, left, side, side, grey)


PERTURBATIONS = {
    gaussian_noise: (0.05, 0.1, 0.15, 0.2, 0.3),
    gaussian_blur: (0.01, 0.015, 0.02, 0.03, 0.04),
    pixelate: (0.6, 0.5, 0.4, 0.3, 0.2),
    jpeg: (50, 30, 20, 10, 5),
    brightness: (0.2, 0.35, 0.5, 0.65, 0.8),
    contrast: (0.7, 0.5, 0.35, 0.2, 0.1),
    saturation: (1.5, 2.0, 3.0, 5.0, 8.0),
    hue: (0.05, 0.1, 0.2, 0.3, 0.5),
    greyscale: (0.25, 0.5, 0.75, 0.9, 1.0),
    posterize: (5, 4, 3, 2, 1),
    solarize: (240, 208, 176, 144, 112),
    rotation: (10, 20, 30, 45, 90),
    perspective: (0.1, 0.2, 0.3, 0.4, 0.5),
    elastic: (0.01, 0.02, 0.03, 0.04, 0.06),
    occlusion: (0.2, 0.3, 0.4, 0.5, 0.6),
}
PERTURBATIONS = {function.__name__: (function, s) for function, s in PERTURBATIONS.items()}


def perturb(images, name, level, *, random_state=0):
    """Perturb images.

    Parameters
    ----------
    images : list of n images
        As :func:`skclipens.images.load_image` takes them.
    name : str
        One of ``PERTURBATIONS``.
    level : {1, 2, 3, 4, 5}
    random_state : int

    Returns
    -------
    list of n ndarray of shape (H, W, 3), uint8
    """
    if name not in PERTURBATIONS or level not in LEVELS:
        raise ValueError(
            f"name={name!r}, level={level!r}: names are {', '.join(PERTURBATIONS)}, levels 1 to 5."
        )
    from torchvision.transforms.v2 import functional as F

    function, strengths = PERTURBATIONS[name]
    perturbed = []
    for row, image in enumerate(images):
        rng = np.random.default_rng([random_state, row, zlib.crc32(name.encode())])
        picture = F.pil_to_tensor(load_image(image))
        result = function(picture, strengths[level - 1], rng)
        perturbed.append(np.ascontiguousarray(result.permute(1, 2, 0).numpy()))
    return perturbed


def _sign(rng):
    return 1 if rng.random() < 0.5 else -1


def _warp(image, warp):
    """Warp an image, extended by the colour of its border, the median of the outermost pixels.

    The difference to this colour is warped: pixels from outside are then zero, and the image has
    no dark frame from the interpolation between the two.
    """
    import torch

    edges = [image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]]
    colour = torch.cat(edges, dim=1).median(dim=1).values.float()[:, None, None]
    return (warp(image - colour) + colour).round().clamp(0, 255).to(torch.uint8)
