"""Which arithmetic: `auto` takes what the hardware does well."""

from __future__ import annotations

import os

import torch

from udta.errors import ConfigError, did_you_mean

# Behind an arithmetic: the same numbers up to rounding, from compiled code.
COMPILED = "+compile"
COMPUTES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What `auto` means on a CPU, whatever its instructions are: tests run under both arithmetics on one machine.
_AUTO_ON_CPU = "UDTA_AUTO_ON_CPU"
# torch's own tests for the instructions; they are private, so one that a release lacks counts as a no.
_FAST_BF16 = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def computes() -> tuple[str, ...]:
    """Everything that `--compute` takes: an arithmetic, by itself or for compiled code."""
    return tuple(name + suffix for suffix in ("", COMPILED) for name in ("auto", *COMPUTES))


def resolve_compute(compute: str, device: torch.device) -> str:
    """`float32`, `bfloat16` or `float16`, with `+compile` where that is asked for.

    Args:
        compute: one of `computes`.
        device: where it will run; it decides what `auto` is.

    Raises:
        ConfigError: another name.
    """
    if compute not in computes():
        raise ConfigError(f"compute is {compute!r}: {did_you_mean(compute, computes())}")
    if compute.startswith("auto"):
        return compute.replace("auto", _fastest(device))
    return compute


def _fastest(device: torch.device) -> str:
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    # On a CPU with AVX512-BF16 or AMX, bf16 runs MobileNetV2 4.7 times and ResNet-50 2.3 times as fast as float32 (measured
    # on 2 cores, both channels_last with folded BatchNorm). Without these instructions it is slower.
    return os.environ.get(_AUTO_ON_CPU) or ("bfloat16" if any(map(_cpu_has, _FAST_BF16)) else "float32")


def _cpu_has(instructions: str) -> bool:
    return bool(getattr(torch.cpu, instructions, bool)())
