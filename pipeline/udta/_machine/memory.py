"""Memory: how much there is, how much this process has taken, and keeping what it frees."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# A container's limit is what the kernel enforces, whatever the machine has: cgroup v2, and v1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_STATUS, _MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")

# Parameters of mallopt(3), with the values for keeping all that is freed, and those that glibc arrives at by itself in a process
# that has freed large blocks (that adjustment is off for good once any of them is set).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
# One arena: threads that start from now on share it, since arenas of their own give back their parts whatever is set.
_KEEP = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0, _ARENA_MAX: 1}
_USUAL = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20, _MMAP_MAX: 65_536, _ARENA_MAX: 0}


def default_budget() -> int:
    """Half of the memory that this process may use, in bytes."""
    return usable_memory()[0] // 2


def usable_memory() -> tuple[int, int]:
    """Bytes that this process may use, and those of them that are free; all where nothing tells (proc_meminfo(5))."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # "max" stands there where nothing is limited.
    limits = [int(text) for path in _LIMITS if path.exists() and (text := path.read_text().strip()).isdecimal()]
    most = min([physical, *limits])
    found = re.search(r"MemAvailable:\s+(\d+) kB", _MEMINFO.read_text() if _MEMINFO.exists() else "")
    return most, min(most, int(found[1]) * 1024) if found else most


def fits_on(device: torch.device, n_bytes: int) -> bool:
    """Whether so many bytes take at most half of what is free in the memory of a CUDA device; False for another device."""
    return device.type == "cuda" and n_bytes <= torch.cuda.mem_get_info(device)[0] // 2


def peak_memory(*, children: bool = False) -> int:
    """The largest resident set of this process so far, in bytes; with `children`, or of any child that ended."""
    # A program that a large process starts has the size of that process as its `ru_maxrss` from the first moment on (the kernel
    # keeps the larger one across exec; 5.7 GB were reported for 0.8), but `VmHWM` of its own: proc_pid_status(5).
    status = _STATUS.read_text() if _STATUS.exists() else ""
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    own = int(found[1]) * 1024 if found else _largest(resource.RUSAGE_SELF)
    return max(own, _largest(resource.RUSAGE_CHILDREN)) if children else own


def _largest(who: int) -> int:
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but for macOS: getrusage(2)


class _Kept:
    """How many ask for it, in any thread: the allocator is one for the process, and the last to leave sets it back."""

    count = 0
    lock = threading.Lock()


@contextmanager
def freed_memory_kept(device: str = "cpu") -> Iterator[None]:
    """Inside, glibc's allocator keeps what is freed for the next allocation instead of giving it back to the kernel.

    A forward pass allocates and frees hundreds of megabytes, and what was given back comes as pages to be zeroed, one fault for
    4 kB: that was half of the processor time of a MobileNetV2 on two cores (49 images/s; 89 without). Enter it before threads
    start. At the end all free memory is given back. Does nothing where `device` is or may be a GPU, with another C library, or
    where the environment has settings for the allocator (`MALLOC_...`, `GLIBC_TUNABLES`).
    """
    mallopt = _mallopt()
    if mallopt is None or not _is_cpu(device):
        yield
        return
    with _Kept.lock:
        _Kept.count += 1
        if _Kept.count == 1:
            _set(mallopt, _KEEP)
    try:
        yield
    finally:
        with _Kept.lock:
            _Kept.count -= 1
            if _Kept.count == 0:
                _set(mallopt, _USUAL)
                # Thresholds are looked at when something is freed next; what lies there already goes back now.
                ctypes.CDLL(None).malloc_trim(0)


def _is_cpu(device: str) -> bool:
    return device == "cpu" or (device == "auto" and not torch.cuda.is_available())


def _mallopt() -> Callable[[int, int], int] | None:
    # Who has set the allocator's variables (mallopt(3), "Environment variables") has measured something too.
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)  # musl, as in Alpine, has none


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> None:
    for parameter, value in values.items():
        mallopt(parameter, value)
