"""Where tensors are computed with: the device by name, and the state of its random numbers, borrowed from the caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from udta.errors import ConfigError, did_you_mean


def resolve_device(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N`. Raises `ConfigError` when there is no such device."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device is {device!r}: {did_you_mean(device, ['auto', 'cpu', 'cuda'])}") from error
    # `mps`, `xpu` and `meta` are devices of torch too, but nothing here was ever tried on them.
    if resolved.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {device!r}: valid are: auto, cpu, cuda, cuda:N")
    # Asked before anything is loaded: torch itself says "invalid device ordinal" once the backbone is built and moved.
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device is {device!r}, but torch sees {torch.cuda.device_count()} CUDA device(s) here")
    return resolved


@contextmanager
def own_randomness(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside, what torch draws on the CPU and on `device` depends on `seed` alone; outside, nothing was drawn."""
    gpu = device if device is not None and device.type == "cuda" else None
    # Not `torch.manual_seed`: that seeds every CUDA device, of which `fork_rng` gives back only those that it is told of.
    with torch.random.fork_rng(devices=[] if gpu is None else [gpu]):
        torch.default_generator.manual_seed(seed)
        if gpu is not None:
            # `torch.cuda.manual_seed` seeds the current device, whatever it is.
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators on the CPU and, where it is a GPU, on `device`, uint8: what a checkpoint keeps."""
    states = {"cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def set_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on drawing where `random_states` was called, on the CPU and on `device`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
