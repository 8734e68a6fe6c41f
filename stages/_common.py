"""What every stage does first: read and check `params.yaml`, and promise to die with `dvc`."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from udta._console.messages import messages_shown
from udta._console.terminal import shown
from udta.config import Params, load_params
from udta.errors import ConfigError, UdtaError


def run(stage: Callable[..., None], *tables: str) -> None:
    """Call `stage(params, *names)`, a name out of each of these lists of `run`; a user's mistake ends in a message and a status.

    The names are those of the stage that DVC runs, as DVC_STAGE tells, or the arguments where a script is called by hand. They
    are no arguments in dvc.yaml, because a shell would read them there.
    """
    die_with_dvc()
    try:
        with messages_shown():
            params = load_params(Path("params.yaml"))
            stage(params, *(sys.argv[1:] or _names(params, tables)))
    except UdtaError as error:
        sys.exit(shown(f"error: {error}"))


def _names(params: Params, tables: Sequence[str]) -> tuple[str, ...]:
    """What `train@letters-digits-100` stands for: names may hold a `-`, so every combination is joined and compared."""
    if not tables:
        return ()
    called = os.environ.get("DVC_STAGE", "").rpartition("@")[2]
    for names in product(*(getattr(params.run, table) for table in tables)):
        if "-".join(names) == called:
            return names
    raise ConfigError(
        f"give {len(tables)} argument(s), names of {', '.join(tables)} in params.yaml, or run this by `dvc repro`"
    )


def die_with_dvc() -> None:
    """Killing `dvc` with -9 leaves a stage running, and the next `dvc repro` would start a second writer.

    So a thread waits for the end of `dvc` (Linux; pidfd_open(2)) and ends this process. `dvc` runs a stage through $SHELL:
    bash replaces itself by its only command, dash stays between the two, hence two processes to watch. Elsewhere the
    store's lock alone keeps the second writer out.
    """
    if "DVC_STAGE" not in os.environ or not hasattr(os, "pidfd_open"):
        return
    parent = os.getppid()
    poll = select.poll()
    try:
        for pid in (parent, _parent_of(parent)) if _is_shell(parent) else (parent,):
            poll.register(os.pidfd_open(pid), select.POLLIN)
    except (FileNotFoundError, ProcessLookupError):
        sys.exit("error: dvc ended before its stage began")

    def wait() -> None:
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _is_shell(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip().endswith("sh")


def _parent_of(pid: int) -> int:
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["PPid"])


def features_path(params: Params, backbone: str, dataset: str) -> Path:
    """The small file that says what a store holds; training depends on it instead of on the store's files."""
    return params.paths.out / "features" / backbone / f"{dataset}.json"


def store_path(params: Params, backbone: str, dataset: str) -> Path:
    """The store itself."""
    return params.paths.stores / backbone / dataset


def sweep_path(params: Params, backbone: str, dataset: str) -> Path:
    """The folder of all adapters of one store."""
    return params.paths.out / "sweeps" / f"{backbone}-{dataset}"


def run_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The run folder of one adapter."""
    return sweep_path(params, backbone, dataset) / "runs" / adapter


def metrics_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The metrics that `dvc metrics show` prints."""
    return params.paths.out / "metrics" / f"{backbone}-{dataset}-{adapter}.json"
