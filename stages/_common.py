"""What every stage does first: read and check `params.yaml`, and promise to die with `dvc`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from udta.config import Params, load_params
from udta.errors import UdtaError

_PR_SET_PDEATHSIG = 1


def run(stage: Callable[..., None]) -> None:
    """Call `stage(params, *arguments)`; a user's mistake ends in a message and an exit status."""
    die_with_parent()
    try:
        stage(load_params(Path("params.yaml")), *sys.argv[1:])
    except UdtaError as error:
        sys.exit(f"error: {error}")


def die_with_parent() -> None:
    """Killing `dvc` with -9 leaves a stage running, and the next `dvc repro` would start a second writer.

    So the kernel is asked to kill this process when its parent dies (Linux; prctl(2)); elsewhere the store's lock alone
    keeps the second writer out.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def features_path(params: Params, backbone: str, dataset: str) -> Path:
    """The small file that says what a store holds; training depends on it instead of on the store's files."""
    return params.paths.out / "features" / backbone / f"{dataset}.json"


def store_path(params: Params, backbone: str, dataset: str) -> Path:
    """The store itself."""
    return params.paths.stores / backbone / dataset


def run_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The run folder of one adapter."""
    return params.paths.out / "runs" / f"{backbone}-{dataset}-{adapter}"


def metrics_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The metrics that `dvc metrics show` prints."""
    return params.paths.out / "metrics" / f"{backbone}-{dataset}-{adapter}.json"
