"""How much memory there is."""

from __future__ import annotations

import os
from pathlib import Path

import torch

# A container's limit is what the kernel enforces, whatever the machine has.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def default_budget() -> int:
    """Half of the memory that this process may use, in bytes."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [int(text) for path in _LIMITS if path.exists() and (text := path.read_text().strip()).isdecimal()]
    return min([physical, *limits]) // 2


def fits_on(device: torch.device, n_bytes: int) -> bool:
    """Whether so many bytes take at most half of what is free in the memory of a CUDA device."""
    return device.type == "cuda" and n_bytes <= torch.cuda.mem_get_info(device)[0] // 2
