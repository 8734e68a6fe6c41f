"""Running a stage: of which names of `params.yaml` it is, and that it ends with the `dvc` that started it."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from udta.config import Params, load_params
from udta.errors import ConfigError, UdtaError

Result = tuple[dict[str, Any], str]
"""What a stage says when it is done: for machines, and for people."""


def run_stage(stage: Callable[..., Result], tables: Sequence[str], names: Sequence[str] = ()) -> Result:
    """Call `stage(params, *names)` in the folder of a project.

    Args:
        stage: which.
        tables: lists of `run` in `params.yaml`; it takes one name of each.
        names: those; else those of the stage that DVC runs, as DVC_STAGE tells. They are no arguments in dvc.yaml, because a
            shell would read them there.

    Raises:
        ConfigError: `params.yaml` is wrong, or does not have these names.
    """
    _die_with_dvc()
    params = load_params(Path("params.yaml"))
    return stage(params, *_names(params, tables, names))


def _names(params: Params, tables: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """What `train@letters-digits-100` stands for: names may hold a `-`, so every combination is joined and compared."""
    known = product(*(getattr(params.run, table) for table in tables))
    if given or not tables:
        if tuple(given) in known:
            return tuple(given)
    else:
        called = os.environ.get("DVC_STAGE", "").rpartition("@")[2]
        for names in known:
            if "-".join(names) == called:
                return names
    if not tables:
        raise ConfigError(f"this stage is one for all, and takes no name: leave out {', '.join(given)}")
    have = "; ".join(f"{table}: {', '.join(getattr(params.run, table))}" for table in tables)
    raise ConfigError(
        f"give {len(tables)} argument(s), names of {', '.join(tables)} in run of params.yaml, or run this by `dvc repro`; "
        f"there are {have}"
    )


def _die_with_dvc() -> None:
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
        raise UdtaError("dvc ended before its stage began") from None

    def wait() -> None:
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _is_shell(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip().endswith("sh")


def _parent_of(pid: int) -> int:
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["PPid"])
