"""Probing a backbone: numbers of its features of a fixed picture, by the plain module in float32 on a CPU wherever it runs so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from udta._machine.portable_random import random_bits
from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone
from udta.backbones._forward import TapForward
from udta.errors import BackboneError, ConfigError
from udta.fingerprint import TapSpec
from udta.images import Transform
from udta.probe import Probe

_LIBRARIES = ("torch", "torchvision", "timm")
# Those of which a network may be made, by package; their releases rewrite modules under the same weights.
_OF_NETWORKS = {"transformers": "transformers", "open_clip": "open_clip_torch"}
# With mean and root mean square ten numbers a tap. A hash of the features would be shorter, but could have no tolerance.
_PROJECTIONS = 8
# Side of the squares that the pictures are made of, on top of one another: something for every size of receptive field.
_SCALES = (1, 4, 16, 64)
_CPU = torch.device("cpu")


@contextmanager
def _full_precision() -> Iterator[None]:
    """Inside, float32 is float32 on a CPU too."""
    # `torch.set_float32_matmul_precision("medium")` lets oneDNN compute float32 products in bf16, two digits instead of
    # seven: a program that sets it for its training would find every store stale.
    onednn: Any = torch.backends.mkldnn
    kinds = [onednn.matmul, onednn.conv] if hasattr(onednn, "matmul") else []  # since torch 2.9
    before = [kind.fp32_precision for kind in kinds]
    try:
        for kind in kinds:
            kind.fp32_precision = "ieee"
        yield
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


@left_as_found(seed=0)  # for a backbone that draws
@_full_precision()
def probe_backbone(backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device) -> Probe:
    """The probe of a backbone's taps; in the arithmetic and on the device of the extraction where float32 on a CPU fails.

    Args:
        backbone: frozen.
        taps: what numbers are kept of.
        compute: arithmetic of the extraction.
        device: of the extraction.

    Raises:
        BackboneError: it runs in neither.
    """
    forward, features = run_plain(backbone, taps, compute, device, pictures(backbone, 1))
    where = f"{str(forward.compute).removeprefix('torch.')} on {forward.device.type}"
    found = {tap: numbers(values) for tap, values in features.items()}
    return Probe(found, where, _versions(backbone.module))


def probe_like(
    recorded: Probe, backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device
) -> Probe:
    """The probe to compare with a recorded one; an empty one, without a pass, where nothing was recorded."""
    return probe_backbone(backbone, taps, compute, device) if recorded else Probe()


def run_plain(
    backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device, images: Tensor
) -> tuple[TapForward, dict[str, Tensor]]:
    """A pass of the backbone as it is, nothing folded, contiguous, features in float32; and what made it, to run it again.

    In float32 on a CPU, which is where two machines agree best, else in `compute` on `device`: kernels written for a GPU, or
    weights in half precision, run nowhere else.

    Raises:
        BackboneError: it runs in neither.
    """
    exact = [replace(tap, dtype="float32") for tap in taps]

    def run(arithmetic: str, on: torch.device) -> tuple[TapForward, dict[str, Tensor]]:
        forward = TapForward(backbone, exact, arithmetic, on, memory_format="contiguous", fold=False)
        return forward, forward(images)

    try:
        return run("float32", _CPU)
    except BackboneError:
        return run(compute.partition("+")[0], device)


def pictures(backbone: Backbone, count: int) -> Tensor:
    """Pictures as the backbone takes them, uint8 `[count, channels, height, width]`.

    Raises:
        ConfigError: its transform gives images of different sizes.
    """
    # Made of integers: generators of random floats, and resizing, differ by version and processor.
    size = Transform.parse(backbone.input.evaluate).size
    if size is None:
        raise ConfigError(f"{backbone.input.evaluate} gives images of different sizes; end it with centre_crop(n)")
    channels = backbone.input.channels
    axes = np.meshgrid(
        *(np.arange(length, dtype=np.uint64) for length in (count, channels, *size)), indexing="ij", sparse=True
    )
    image, channel, row, column = axes
    apart = np.uint64(max(8, channels))  # 8 with three channels, as probes in stores were made
    # 64 bits shifted by 58 leave numbers below 64, so that the sum of four of them, 252 at most, is a pixel.
    total = sum(
        random_bits((((image * apart + channel) << 40) + (row // side << 20) + column // side) * 8 + number) >> 58
        for number, side in enumerate(map(np.uint64, _SCALES))
    )
    return torch.from_numpy(total.astype(np.uint8))  # type: ignore[union-attr]  # four numbers below 64


def numbers(values: Tensor) -> tuple[float, ...]:
    """Mean, root mean square and projections onto fixed signs of some features; empty where they are not finite."""
    flat = values.detach().double().flatten().cpu().numpy()
    # One bit of the hash for each projection: a change that leaves mean and size as they are (channels in another order, a
    # map turned over) changes these.
    signs = random_bits(np.arange(len(flat), dtype=np.uint64))
    if not np.isfinite(flat).all():
        return ()
    projections = [flat @ (1.0 - 2.0 * (signs >> bit & 1)) for bit in np.arange(_PROJECTIONS, dtype=np.uint64)]
    # By the root of the length, which makes each of the size of the features themselves.
    found = [flat.mean(), np.sqrt(np.square(flat).mean()), *(each / np.sqrt(len(flat)) for each in projections)]
    return tuple(float(f"{each:.7g}") for each in found)  # float32 has no more digits


def _versions(module: nn.Module) -> dict[str, str]:
    packages = {type(each).__module__.partition(".")[0] for each in module.modules()}
    found = {}
    for name in (*_LIBRARIES, *(library for package, library in _OF_NETWORKS.items() if package in packages)):
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found
