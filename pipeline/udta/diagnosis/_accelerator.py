"""GPU, driver, and the CUDA that torch was built for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from udta.diagnosis._check import Check

_PATIENCE_S = 10  # nvidia-smi hangs where a driver does
_BUILD = (
    "install torch and torchvision for CUDA {}, with the command that https://pytorch.org/get-started/locally shows"
)


def gpu(_folder: Path) -> Check:
    """What torch can compute with; where it sees no GPU that the driver does, why, and what to do."""
    import torch

    if torch.cuda.is_available():
        return _usable()
    cards, driver_cuda = _driver()
    if not cards:
        return Check("gpu", "ok", "none: the CPU computes")
    found = f"{cards}, but torch {torch.__version__} does not see it"
    built_for = torch.version.cuda
    if built_for is None:
        advice = f"this torch was built without CUDA: {_BUILD.format(driver_cuda or '12.6')}"
    elif driver_cuda and _number(driver_cuda) < _number(built_for):
        advice = (
            f"the driver is for CUDA {driver_cuda} at most, this torch for {built_for}: update the driver, or "
            f"{_BUILD.format(driver_cuda)}"
        )
    elif "CUDA_VISIBLE_DEVICES" in os.environ:
        advice = f"CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r} and hides it: unset it"
    else:
        advice = 'python -c "import torch; torch.zeros(1).cuda()" says why; in a container, start it with --gpus all'
    return Check("gpu", "warn", found, advice)


def _usable() -> Check:
    from torch import cuda, ones, version

    names = [cuda.get_device_name(number) for number in range(cuda.device_count())]
    memory = min(cuda.get_device_properties(number).total_memory for number in range(cuda.device_count()))
    found = (
        f"{len(names)} x {', '.join(dict.fromkeys(names))}, {memory / 1e9:.0f} GB, CUDA {version.cuda or version.hip}"
    )
    # A card that is newer than the build has no kernels in it, and fails at the first operation.
    try:
        ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        return Check("gpu", "fail", f"{found}, but computes nothing: {reason}", "install a torch that knows this card")
    return Check("gpu", "ok", found)


def _driver() -> tuple[str, str | None]:
    """The cards with the driver's version, and the newest CUDA that it can run; empty where there is no driver of NVIDIA's."""
    if shutil.which("nvidia-smi") is None:
        return ("an NVIDIA driver", None) if Path("/proc/driver/nvidia/version").exists() else ("", None)
    listed = _said("--query-gpu=name,driver_version", "--format=csv,noheader").strip()
    cuda = re.search(r"CUDA Version:\s*(\d+\.\d+)", _said())
    lines = [line for line in listed.splitlines() if "," in line]
    cards = "; ".join(
        f"{name.strip()} (driver {driver.strip()})" for name, _, driver in (line.partition(",") for line in lines)
    )
    return cards, cuda[1] if cuda else None


def _said(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _number(cuda: str) -> tuple[int, ...]:
    return tuple(map(int, cuda.split(".")))
