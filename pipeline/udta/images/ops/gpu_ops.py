"""The operations on a GPU's tensors, for images that were decoded there: what nvJPEG decoded never leaves the device as pixels.

They draw the same random numbers as their originals on Pillow images (`pillow_ops`) and compute the same thing up to rounding,
but for two: a crop that is resized does not see beyond its cut, and there is no `rotate` and no Lanczos filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, UInt8
from torch import Tensor

from udta.errors import ConfigError
from udta.images._views import Transform
from udta.images.ops.op import Op
from udta.images.ops.pillow_ops import CentreCrop, Flip, Grey, Jitter, RandomCrop, RandomResizedCrop, Resize

Pixels = Float[Tensor, "3 height width"]  # whole numbers from 0 to 255


def check_on_gpu(transform: Transform) -> None:
    """Raises `ConfigError`: operations that have no form here."""
    problems = [
        f"{op} of the transform {str(transform)!r} cannot be computed on a GPU: use the decoder pillow"
        for op in transform.ops
        if not _has_form(op)
    ]
    if problems:
        raise ConfigError(problems)


def transformed(
    transform: Transform, pixels: UInt8[Tensor, "3 height width"], rng: np.random.Generator
) -> UInt8[Tensor, "height2 width2 3"]:
    """What `Transform.apply` gives for a Pillow image, on the device of `pixels`.

    Raises:
        ConfigError: an operation that has no form here; `check_on_gpu` finds them before there are pixels.
        ImageError: an image so elongated that `resize` would make it too large to hold.
    """
    values = pixels.float()
    for op in transform.ops:
        if type(op) not in _FORMS:  # out of a fingerprint that nobody checked
            raise ConfigError(f"{op} cannot be computed on a GPU")
        values = _FORMS[type(op)](op, values, rng)
    return values.to(torch.uint8).permute(1, 2, 0)


def _resize(op: Resize, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    return _resized(pixels, op.size_of(pixels.shape[2], pixels.shape[1]), op.filter)


def _centre_crop(op: CentreCrop, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    return _cropped(pixels, *op.corner(pixels.shape[2], pixels.shape[1]), op.side)


def _random_crop(op: RandomCrop, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _cropped(pixels, *op.corner(pixels.shape[2], pixels.shape[1], rng), op.side)


def _random_resized_crop(op: RandomResizedCrop, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    # Pillow's `box` resizes with a filter that reaches over the cut; `interpolate` sees the cut alone: the outermost
    # pixels differ, which is one reason why the decoder is part of a fingerprint.
    left, top, width, height = op.part(pixels.shape[2], pixels.shape[1], rng)
    return _resized(pixels[:, top : top + height, left : left + width], (op.side, op.side), "bilinear")


def _flip(op: Flip, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return pixels.flip(2) if op.drawn(rng) else pixels


def _jitter(op: Jitter, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    brightness, contrast, saturation = op.factors(rng)
    pixels = _blended(torch.zeros_like(pixels[:1]), pixels, brightness)
    # Pillow's `Contrast` blends with one level, the mean luma rounded half up: `int(mean + 0.5)`.
    pixels = _blended((_luma(pixels).mean() + 0.5).floor(), pixels, contrast)
    return _blended(_luma(pixels), pixels, saturation)


def _grey(_op: Grey, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    return _luma(pixels).expand(3, -1, -1)


_FORMS: Mapping[type[Op], Callable[[Any, Pixels, np.random.Generator], Pixels]] = {
    Resize: _resize,
    CentreCrop: _centre_crop,
    RandomCrop: _random_crop,
    RandomResizedCrop: _random_resized_crop,
    Flip: _flip,
    Jitter: _jitter,
    Grey: _grey,
}


def _has_form(op: Op) -> bool:
    # `torch.nn.functional.interpolate` antialiases its bilinear and bicubic modes alone; it knows no Lanczos.
    return type(op) in _FORMS and not (isinstance(op, Resize) and op.filter == "lanczos")


def _resized(pixels: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """With Pillow's kernels: a cubic one of a = -1/2, stretched where the image shrinks."""
    # A cubic kernel overshoots at edges: without the clamp, 256 becomes 0 when it is made a byte.
    return F.interpolate(pixels[None], size, mode=mode, antialias=True)[0].round().clamp(0, 255)


def _cropped(pixels: Tensor, left: int, top: int, side: int) -> Tensor:
    """Black outside of the image."""
    height, width = pixels.shape[1:]
    if left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        return pixels[:, top : top + side, left : left + side]
    return F.pad(pixels, (-left, left + side - width, -top, top + side - height))


def _luma(pixels: Tensor) -> Tensor:
    """ITU-R 601 in 16-bit fixed point, as Pillow rounds it; one channel."""
    # Pillow's L = (19595 R + 38470 G + 7471 B + 0x8000) >> 16. The sum goes up to 65536 x 255 + 0x8000, just under 2^24, where
    # float32 stops to hold every whole number: float64 has room for any order of adding.
    weights = torch.tensor([19595.0, 38470.0, 7471.0], device=pixels.device, dtype=torch.float64).view(3, 1, 1)
    return (((pixels * weights).sum(0, keepdim=True) + 0x8000) / 0x10000).floor().to(pixels.dtype)


def _blended(grey: Tensor, pixels: Tensor, factor: float) -> Tensor:
    """As `PIL.Image.blend`: towards `grey` under 1, away from it above; what is behind the point is cut off."""
    return (grey + factor * (pixels - grey)).clamp(0, 255).floor()
