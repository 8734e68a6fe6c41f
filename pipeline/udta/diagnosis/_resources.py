"""Memory, cores, open files, a disk's room and speed."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

from udta._machine.cores import n_cores
from udta._machine.memory import usable_memory
from udta.diagnosis._check import Check

_GB = 10**9
# A cgroup's share of time, v2 and v1: so many microseconds in each period of so many.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
_MAPPINGS = Path("/proc/sys/vm/max_map_count")
# A store in HDF5 is a file a block, each open while it is read (10,000 blocks are 2.5 million images); data loaders of other
# tools hold some hundred more.
_FEW_FILES, _FEW_MAPPINGS = 1024, 65_530
_TEST_BYTES, _CHUNK_BYTES, _TEST_S = 64 * 2**20, 4 * 2**20, 0.5
# Features of a MobileNetV2 in float16 come at about 10 MB/s from two cores, and at 500 MB/s from a GPU.
_SLOW_BYTES_A_SECOND = 50e6


def cores(_folder: Path) -> Check:
    """How many this process may use; a container's quota is of time, and threads do not see it."""
    n, quota = n_cores(), _cpu_quota()
    threads = os.environ.get("OMP_NUM_THREADS")
    found = f"{n} of {os.cpu_count()}" + (f", in a container that may use {quota:g}" if quota else "")
    found += f", OMP_NUM_THREADS={threads}" if threads else ""
    if quota and quota < n and not threads:
        return Check(
            "cores", "warn", found, f"threads get in each other's way: export OMP_NUM_THREADS={max(1, int(quota))}"
        )
    return Check("cores", "ok", found)


def memory(_folder: Path) -> Check:
    """What this process may use, and what of it is free."""
    most, free = usable_memory()
    found = f"{free / _GB:.1f} GB free of {most / _GB:.1f}"
    if free < 2 * _GB:
        return Check("memory", "warn", found, "an extraction wants 2 GB: end other programs, or use fewer --workers")
    return Check("memory", "ok", found)


def open_files(_folder: Path) -> Check:
    """Descriptors, and mappings, of which a store takes one a file that it reads."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "any number" if soft == resource.RLIM_INFINITY else f"{soft}"
    mappings = int(_MAPPINGS.read_text()) if _MAPPINGS.exists() else None
    found = f"{shown} at a time" + (f", {mappings} mappings" if mappings else "")
    if 0 <= soft < _FEW_FILES:
        most = hard if 0 <= hard < 4096 else 4096
        return Check("open files", "warn", found, f"HDF5 stores keep a file a block open: ulimit -n {most}")
    if mappings is not None and mappings < _FEW_MAPPINGS:
        return Check("open files", "warn", found, f"stores are mapped: sysctl -w vm.max_map_count={_FEW_MAPPINGS}")
    return Check("open files", "ok", found)


def temporary(_folder: Path) -> Check:
    """The folder for temporary files, where HDF5 and object stores pass through."""
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        return Check("temporary", "fail", str(error), "export TMPDIR=a folder that can be written to")
    free = shutil.disk_usage(place).free
    found = f"{place}, {free / _GB:.1f} GB free"
    if free < _GB:
        return Check("temporary", "warn", found, "make room there, or export TMPDIR=another folder")
    return Check("temporary", "ok", found)


def disk(folder: Path) -> Check:
    """Room and speed of the disk that a folder is on: some chunks written, flushed and read."""
    where = folder.resolve()
    if not where.is_dir():
        return Check("disk", "fail", f"{where}: there is no such folder", "make it, or name another: udta doctor DIR")
    try:
        write, read = _speeds(where)
    except OSError as error:
        return Check("disk", "fail", f"{where}: {error.strerror or error}", "make room, or name a folder of yours")
    free = shutil.disk_usage(where).free
    found = f"{where}, {free / _GB:.1f} GB free, writes {write / 1e6:.0f} MB/s, reads {read / 1e6:.0f} MB/s"
    if free < 2 * _GB:
        return Check("disk", "warn", found, "`udta plan` says what a store takes; make room, or keep stores elsewhere")
    if write < _SLOW_BYTES_A_SECOND:
        return Check("disk", "warn", found, "slow for stores, perhaps a network's: keep them on a local disk")
    return Check("disk", "ok", found)


def _speeds(folder: Path) -> tuple[float, float]:
    """Bytes a second written to the disk, and read from it."""
    chunk = os.urandom(_CHUNK_BYTES)  # zeros would be compressed, or left out, by some file systems
    # Without a name from the start (O_TMPFILE, open(2)), so that not even a kill leaves it.
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        began, written = time.perf_counter(), 0
        while written < _TEST_BYTES and time.perf_counter() - began < _TEST_S:
            written += file.write(chunk)
            os.fsync(file.fileno())
        write = written / (time.perf_counter() - began)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
        file.seek(0)
        began, taken = time.perf_counter(), 0
        while time.perf_counter() - began < _TEST_S and (part := file.read(_CHUNK_BYTES)):
            taken += len(part)
        return write, taken / max(time.perf_counter() - began, 1e-9)


def _cpu_quota() -> float | None:
    """Cores' worth of time that the container may use; None without a limit."""
    try:
        if _QUOTA.exists():
            quota, period = _QUOTA.read_text().split()
        else:
            quota, period = (path.read_text().strip() for path in _QUOTA_V1)
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # "max" where nothing is limited
        return None
