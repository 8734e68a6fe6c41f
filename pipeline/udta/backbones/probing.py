"""Probing a backbone: its features of fixed pictures, on a CPU in float32 and with the plain module wherever it runs so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from udta._machine.process_state import left_as_found
from udta.backbones.backbone import Backbone
from udta.backbones.forward import TapForward
from udta.errors import BackboneError, ConfigError
from udta.fingerprint import TapSpec
from udta.images import Transform
from udta.probe import Probe

_LIBRARIES = ("torch", "torchvision", "timm")
_PROJECTIONS = 8
# Side of the squares that the pictures are made of, on top of one another: something for every size of receptive field.
_SCALES = (1, 4, 16, 64)
_CPU = torch.device("cpu")


@contextmanager
def _full_precision() -> Iterator[None]:
    """Inside, float32 is float32 on a CPU too, whatever `torch.set_float32_matmul_precision` allowed oneDNN to round to."""
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

    Raises:
        BackboneError: it runs in neither.
    """
    picture = pictures(backbone, 1)
    forward, features = _first_that_runs(backbone, taps, compute, device, picture)
    place = f"{str(forward.compute).removeprefix('torch.')} on {forward.device.type}"
    return Probe({tap: numbers(values) for tap, values in features.items()}, place, _versions())


def probe_like(
    recorded: Probe, backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device
) -> Probe:
    """The probe to compare with a recorded one; an empty one, without a pass, where nothing was recorded."""
    return probe_backbone(backbone, taps, compute, device) if recorded else Probe()


def plain_forward(backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device) -> TapForward:
    """The backbone as it is: nothing folded, contiguous, features in float32."""
    exact = [replace(tap, dtype="float32") for tap in taps]
    return TapForward(backbone, exact, compute, device, memory_format="contiguous", fold=False)


def pictures(backbone: Backbone, count: int) -> Tensor:
    """Pictures as the backbone takes them, uint8 `[count, 3, height, width]`, made of integers: the same on every machine."""
    size = Transform.parse(backbone.input.evaluate).size
    if size is None:
        raise ConfigError(f"{backbone.input.evaluate} gives images of different sizes; end it with centre_crop(n)")
    axes = np.meshgrid(
        *(np.arange(length, dtype=np.uint64) for length in (count, 3, *size)), indexing="ij", sparse=True
    )
    image, channel, row, column = axes
    total = sum(
        _hash((((image * 8 + channel) << 40) + (row // side << 20) + column // side) * 8 + number) >> 58
        for number, side in enumerate(map(np.uint64, _SCALES))
    )
    return torch.from_numpy(total.astype(np.uint8))  # type: ignore[union-attr]  # four numbers below 64


def numbers(values: Tensor) -> tuple[float, ...]:
    """Mean, root mean square and projections onto fixed signs of some features; empty where they are not finite."""
    flat = values.detach().double().flatten().cpu().numpy()
    signs = _hash(np.arange(len(flat), dtype=np.uint64))
    if not np.isfinite(flat).all():
        return ()
    projections = [flat @ (1.0 - 2.0 * (signs >> bit & 1)) for bit in np.arange(_PROJECTIONS, dtype=np.uint64)]
    found = [flat.mean(), np.sqrt(np.square(flat).mean()), *(each / np.sqrt(len(flat)) for each in projections)]
    return tuple(float(f"{each:.7g}") for each in found)


def _hash(index: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele et al., 2014): 64 random bits of every index."""
    mixed: np.ndarray = index * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result


def _first_that_runs(
    backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device, picture: Tensor
) -> tuple[TapForward, dict[str, Tensor]]:
    try:
        forward = plain_forward(backbone, taps, "float32", _CPU)
        return forward, forward(picture)
    except BackboneError:
        forward = plain_forward(backbone, taps, compute.partition("+")[0], device)
        return forward, forward(picture)


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found
