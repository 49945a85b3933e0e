"""Random changes to a batch of pictures: place, ground, colour, sharpness, hidden parts."""

import math

import torch
import torch.nn.functional as F


def _uniform(generator, low, high, *shape):
    return low + (high - low) * torch.rand(*shape, generator=generator)


def _happens(probability, n, generator):
    return torch.rand(n, 1, 1, 1, generator=generator) < probability


def _place(rgba, size, generator):
    """Rotate, stretch, scale and shift each picture within its frame."""
    n = len(rgba)
    angle = _uniform(generator, -math.pi / 15, math.pi / 15, n)
    scale = _uniform(generator, 0.9, 1.3, n)
    stretch = _uniform(generator, -0.12, 0.12, n).exp()
    shift = _uniform(generator, -0.1, 0.1, n, 2) * scale[:, None]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    theta = torch.stack(
        [cos * stretch, -sin * stretch, shift[:, 0], sin / stretch, cos / stretch, shift[:, 1]], 1
    ).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 4, size, size], align_corners=False)
    return F.grid_sample(rgba, grid, align_corners=False)


def _ground(n, size, generator):
    """Return white for two pictures in three, else one colour or a shading between two."""
    first, second = torch.rand(2, n, 3, 1, 1, generator=generator)
    second = torch.where(_happens(0.5, n, generator), first, second)
    direction = _uniform(generator, 0, 2 * math.pi, n, 1, 1, 1)
    axis = torch.linspace(-0.5, 0.5, size)
    ramp = 0.5 + direction.cos() * axis[:, None] + direction.sin() * axis
    shaded = first + (second - first) * ramp.clamp(0, 1)
    return torch.where(_happens(2 / 3, n, generator), torch.ones(()), shaded)


def _recolour(rgb, generator):
    """Change brightness, contrast and saturation, tint, and sometimes drop the colour."""
    n = len(rgb)
    grey = rgb.mean(1, keepdim=True)
    saturation = _uniform(generator, 0.4, 1.6, n, 1, 1, 1)
    saturation = torch.where(_happens(0.05, n, generator), torch.zeros(()), saturation)
    rgb = grey + (rgb - grey) * saturation
    contrast = _uniform(generator, 0.7, 1.3, n, 1, 1, 1)
    centre = rgb.mean((1, 2, 3), keepdim=True)
    tint = _uniform(generator, 0.85, 1.15, n, 3, 1, 1)
    return (centre + (rgb - centre) * contrast) * tint + _uniform(generator, -0.1, 0.1, n, 1, 1, 1)


def _blur(rgb, generator):
    size = rgb.shape[-1]
    small = F.interpolate(rgb, scale_factor=0.5, mode="bilinear", antialias=True)
    soft = F.interpolate(small, size=size, mode="bilinear")
    return torch.where(_happens(0.15, len(rgb), generator), soft, rgb)


def _hide_parts(rgb, generator):
    """Cover a rectangle of some pictures with one colour."""
    n, _, size, _ = rgb.shape
    axis = torch.linspace(0, 1, size)
    centre = torch.rand(2, n, 1, generator=generator)
    half = _uniform(generator, 0.08, 0.2, 2, n, 1)
    inside = (axis - centre).abs() < half
    hidden = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    hidden = hidden & _happens(0.15, n, generator)
    return torch.where(hidden, torch.rand(n, 3, 1, 1, generator=generator), rgb)


def augment(pictures, size, generator):
    """Return random views of pictures with transparency.

    Parameters
    ----------
    pictures : Tensor of shape (n, H, W, 4), uint8
        RGBA.
    size : int
        Pixels a side of the views.
    generator : torch.Generator

    Returns
    -------
    Tensor of shape (n, 3, size, size), float32
        RGB, normalised to the range -1 to 1.
    """
    rgba = pictures.permute(0, 3, 1, 2).float() / 255
    # Colours are weighted by opacity, so that transparent pixels do not bleed into the edges.
    rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
    rgba = _place(rgba, size, generator)
    rgb = rgba[:, :3] + _ground(len(rgba), size, generator) * (1 - rgba[:, 3:])
    rgb = _hide_parts(_blur(_recolour(rgb, generator), generator), generator)
    return (rgb.clamp(0, 1) * 2 - 1).contiguous(memory_format=torch.channels_last)


def augment_photographs(pictures, generator):
    """Change brightness and contrast of pictures, and drop the colour of one in ten.

    Parameters
    ----------
    pictures : Tensor of shape (n, 3, H, W), uint8
    generator : torch.Generator

    Returns
    -------
    Tensor of shape (n, 3, H, W), float32
        Normalised to the range -1 to 1.
    """
    rgb = pictures.float() / 255
    n = len(rgb)
    rgb = torch.where(_happens(0.1, n, generator), rgb.mean(1, keepdim=True), rgb)
    centre = rgb.mean((1, 2, 3), keepdim=True)
    rgb = centre + (rgb - centre) * _uniform(generator, 0.7, 1.3, n, 1, 1, 1)
    rgb = rgb * _uniform(generator, 0.7, 1.3, n, 1, 1, 1)
    return (rgb.clamp(0, 1) * 2 - 1).contiguous(memory_format=torch.channels_last)
