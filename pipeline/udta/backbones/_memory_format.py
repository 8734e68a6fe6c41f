"""Which memory format a backbone runs in: `channels_last` where it can, since convolutions are faster with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone
from udta.backbones._forward import MEMORY_FORMATS, TapForward
from udta.backbones._probing import numbers, pictures
from udta.errors import BackboneError
from udta.fingerprint import TapSpec
from udta.probe import EXACT_PLACE, Probe

# Relative, against the plain module on a CPU. On a GPU convolutions round to TF32 by default (10 bits), on top of other kernels.
_TOLERANCE = {"cpu": 2e-3, "cuda": 5e-2}


def fitting_memory_format(
    backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device, probe: Probe
) -> str:
    """The first of `MEMORY_FORMATS` in which the backbone runs and, in float32, gives what the plain module gives.

    Args:
        backbone: frozen.
        taps: what is kept of it.
        compute: arithmetic of the extraction.
        device: of the extraction.
        probe: of these taps; an empty one is not compared.

    Raises:
        BackboneError: it runs in none of them, or gives something else in all.
    """
    # Compiled code differs by rounding alone, and compiling for each trial would take minutes.
    arithmetic = compute.partition("+")[0]
    failures = []
    # Tried, because no text of a module shows it: `x.view(len(x), -1)` of a map fails where channels come last, and code
    # that goes by strides gives something else without an error.
    for memory_format in MEMORY_FORMATS:
        try:
            _check(backbone, taps, arithmetic, device, memory_format, probe)
        except BackboneError as error:
            failures.append(error)
        else:
            return memory_format
    advice = "" if arithmetic == "float32" or not _runs(backbone, taps, device) else "; it runs with --compute float32"
    raise BackboneError(f"{failures[-1]}{advice}") from failures[-1]


def _check(
    backbone: Backbone, taps: Sequence[TapSpec], arithmetic: str, device: torch.device, memory_format: str, probe: Probe
) -> None:
    # A probe in another arithmetic has been computed with 8 bits: it would let anything through.
    comparable = bool(probe) and probe.place == EXACT_PLACE
    if arithmetic != "float32":
        _features(backbone, taps, arithmetic, device, memory_format)
    if arithmetic != "float32" and not comparable:
        return
    found = _features(backbone, taps, "float32", device, memory_format)
    apart = {tap: value for tap, value in probe.apart(found).items() if value > _TOLERANCE[device.type]}
    if comparable and apart:
        raise BackboneError(
            f"backbone {backbone.factory} cannot be extracted: with BatchNorm folded, on {device}, it gives other features than"
            f" the plain module on a CPU; relative difference: {', '.join(f'{tap} {value:.2g}' for tap, value in apart.items())}"
        )


def _runs(backbone: Backbone, taps: Sequence[TapSpec], device: torch.device) -> bool:
    try:
        _features(backbone, taps, "float32", device, "contiguous")
    except BackboneError:
        return False
    return True


def _features(
    backbone: Backbone, taps: Sequence[TapSpec], arithmetic: str, device: torch.device, memory_format: str
) -> Probe:
    # As float32 whatever is stored: float16 ends at 65,504, and it is float32 that the probe recorded.
    exact = [replace(tap, dtype="float32") for tap in taps]
    forward = TapForward(backbone, exact, arithmetic, device, memory_format=memory_format)
    with left_as_found(seed=0):  # for a backbone that draws
        return Probe({tap: numbers(values) for tap, values in forward(pictures(backbone, 1)).items()})
