"""The operations of a transform string on a GPU, for images that were decoded there.

They draw the same random numbers as their originals on Pillow images (`images.ops`) and compute the same thing up to rounding,
but for two: a crop that is resized does not see beyond its cut, and there is no `rotate` and no Lanczos filter.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, UInt8
from torch import Tensor

from udta.errors import ConfigError
from udta.images.ops import CentreCrop, Flip, Grey, Jitter, Op, RandomCrop, RandomResizedCrop, Resize, Rotate
from udta.images.transforms import Transform

Pixels = Float[Tensor, "3 height width"]  # whole numbers from 0 to 255


def check_on_gpu(transform: Transform) -> None:
    """Raises `ConfigError`: operations that have no form here."""
    problems = [
        f"{op} of the transform {str(transform)!r} cannot be computed on a GPU: use the decoder pillow"
        for op in transform.ops
        if isinstance(op, Rotate) or (isinstance(op, Resize) and op.filter == "lanczos")
    ]
    if problems:
        raise ConfigError(problems)


def transformed(
    transform: Transform, pixels: UInt8[Tensor, "3 height width"], rng: np.random.Generator
) -> UInt8[Tensor, "height2 width2 3"]:
    """As `Transform.apply`, on the device of `pixels`. Raises `ImageError` as it does."""
    values = pixels.float()
    for op in transform.ops:
        values = _applied(op, values, rng)
    return values.to(torch.uint8).permute(1, 2, 0)


def _applied(op: Op, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[1:]
    match op:
        case Resize():
            return _resized(pixels, op.size_of(width, height), op.filter)
        case CentreCrop():
            return _cropped(pixels, *op.corner(width, height), op.side)
        case RandomCrop():
            return _cropped(pixels, *op.corner(width, height, rng), op.side)
        case RandomResizedCrop():
            left, top, width, height = op.part(width, height, rng)
            return _resized(pixels[:, top : top + height, left : left + width], (op.side, op.side), "bilinear")
        case Flip():
            return pixels.flip(2) if op.drawn(rng) else pixels
        case Jitter():
            brightness, contrast, saturation = op.factors(rng)
            pixels = _blended(torch.zeros_like(pixels[:1]), pixels, brightness)
            pixels = _blended((_luma(pixels).mean() + 0.5).floor(), pixels, contrast)
            return _blended(_luma(pixels), pixels, saturation)
        case Grey():
            return _luma(pixels).expand(3, -1, -1)
    raise ConfigError(f"{op} cannot be computed on a GPU")


def _resized(pixels: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """With Pillow's kernels: a cubic one of a = -1/2, stretched where the image shrinks."""
    return F.interpolate(pixels[None], size, mode=mode, antialias=True)[0].round().clamp(0, 255)


def _cropped(pixels: Tensor, left: int, top: int, side: int) -> Tensor:
    """Black outside of the image."""
    height, width = pixels.shape[1:]
    if left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        return pixels[:, top : top + side, left : left + side]
    return F.pad(pixels, (-left, left + side - width, -top, top + side - height))


def _luma(pixels: Tensor) -> Tensor:
    """ITU-R 601 in 16-bit fixed point, as Pillow rounds it; one channel."""
    weights = torch.tensor([19595.0, 38470.0, 7471.0], device=pixels.device, dtype=torch.float64).view(3, 1, 1)
    return (((pixels * weights).sum(0, keepdim=True) + 0x8000) / 0x10000).floor().to(pixels.dtype)


def _blended(grey: Tensor, pixels: Tensor, factor: float) -> Tensor:
    """As `PIL.Image.blend`: towards `grey` under 1, away from it above; what is behind the point is cut off."""
    return (grey + factor * (pixels - grey)).clamp(0, 255).floor()
