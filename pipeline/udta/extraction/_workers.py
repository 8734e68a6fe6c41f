"""Several processes that extract into one store: each claims blocks, and any of them may die.

The parent holds the store's lock and opens the store; a child (`udta._machine.children`) gets what it needs as a pickle and
reports what it has done. Which of them computes a block is settled by the claims of the store, so the parent only listens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from queue import Empty

import torch

from udta._machine.children import Child, Events, Parent, UnsendableError
from udta._machine.cores import n_cores
from udta.errors import BackboneError, StoreError
from udta.extraction._job import Job
from udta.extraction._meter import Meter, ProgressCounter
from udta.extraction._request import Request
from udta.extraction._work import Effort
from udta.store import BlockWriter, Claims, StoreWriter, engine_at

# Between two looks for a block that nobody has: at the end of a store, while others commit theirs.
_WAIT_S = 0.1
# A worker gives a sign of life so often, whatever it computes.
_SIGN_S = 5.0
# Twelve signs of life that did not come; a process that starts from a slow disk may take half of it.
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Task:
    """What a child works on."""

    path: Path
    claims: Path
    request: Request
    effort: Effort


def in_processes(
    n: int,
    writer: StoreWriter,
    request: Request,
    *,
    prefetch: int,
    meter: Meter,
    counter: ProgressCounter,
) -> int:
    """Compute and commit all missing blocks in `n` processes; returns how many rows they computed.

    On CPUs they share the cores; on GPUs they take turns on all of them. One that gives no sign of life any more, because it was
    stopped, keeps the blocks that it has claimed; `counter` says which it is.

    Raises:
        UdtaError: of the first child that failed, whatever kind it was; the others are stopped, what they committed stays.
        StoreError: every child died.
    """
    effort = Effort.on(request.device, prefetch, max(1, n_cores() // n))
    claims = writer.claims_folder()
    children: list[Child] = []
    try:
        for number in range(n):
            own = replace(request, device=_device(request.device, number), layout=writer.layout)
            # They hold the lock of the store too: of a killed parent one may still write when the next command begins.
            task = Task(writer.path, claims, own, effort)
            children.append(Child(_work, task, keep=[writer.lock_descriptor]))
        rows = _listen(Silence([child.pid for child in children]), Events(children), meter, counter)
    except UnsendableError as error:
        raise BackboneError(
            f"backbone {request.backbone.factory} cannot be sent to another process ({error}); use --workers 1"
        ) from error
    finally:
        for child in children:
            child.end()
        # They have written the ledger, not this process: it looks again, also after an error.
        writer.refresh()
    if writer.missing:
        raise StoreError(
            f"{writer.path}: all {n} worker processes died; {writer.layout.n_blocks - len(writer.missing)} of "
            f"{writer.layout.n_blocks} blocks are committed, the same command continues"
        )
    return rows


class Silence:
    """Which of the living workers have not given a sign of life for `patience` seconds, by their process ids.

    One that was stopped (SIGSTOP) is neither heard of nor dead: it keeps the blocks that it has claimed, and may go on.
    """

    def __init__(
        self, pids: Sequence[int], patience: float = _PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pids, self._patience, self._clock = pids, patience, clock
        self._heard = dict.fromkeys(range(len(pids)), clock())

    def __bool__(self) -> bool:
        """Whether anybody lives."""
        return bool(self._heard)

    def heard(self, number: int) -> None:
        """Worker `number` gave a sign of life."""
        self._heard[number] = self._clock()

    def ended(self, number: int) -> None:
        """Nothing is to be heard of it any more."""
        del self._heard[number]

    def __str__(self) -> str:
        """Who is silent, for how long, and what to do; empty where nobody is."""
        silent = {number: self._clock() - heard for number, heard in self._heard.items()}
        return ", ".join(
            f"worker {number} (process {self._pids[number]}) has not answered for {seconds:.0f} s: if it was "
            "stopped, `kill -CONT` lets it go on; if it is killed, the others take its blocks over"
            for number, seconds in silent.items()
            if seconds >= self._patience
        )


def _listen(living: Silence, events: Events, meter: Meter, counter: ProgressCounter) -> int:
    """Until every child has ended; how many rows they computed."""
    rows = 0
    while living:
        try:
            number, event = events.get(timeout=_SIGN_S)
        except Empty:
            counter.notice(str(living))
            continue
        if event is None:  # killed or done: whether blocks are left over is for the ledger to say
            living.ended(number)
            counter.notice(str(living))
        else:
            living.heard(number)
            counter.notice(str(living))
            meter.add(event["seconds"], event["images"], event["bytes"])
            meter.note(event.get("notes", {}))
            rows += event["rows"]
            if event["rows"]:
                counter.add(event["rows"])
    return rows


def _device(device: torch.device, number: int) -> torch.device:
    """`cuda` without a number means all of them."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", number % max(1, torch.cuda.device_count()))


def _work(parent: Parent, task: Task) -> None:
    """In the child: claim, compute, commit, until the ledger has everything."""
    threading.Thread(target=_live, args=[parent], daemon=True).start()
    # A forward pass may take minutes, and a store of a killed parent shall have no writer any more when its next one begins.
    parent.end_with_it()
    engine = engine_at(task.path)
    assert engine is not None  # the parent holds its lock
    samples = tuple(zip(task.request.layout.ids, task.request.manifest.hashes, strict=True))
    writer = BlockWriter(task.path, engine, task.request.layout, samples)
    claims, meter, told = Claims(task.claims, writer), Meter(), Meter()

    def tell(rows: int) -> None:
        # What is new since the last report: the parent adds up what all of them say.
        seconds = {name: value - told.seconds[name] for name, value in meter.seconds.items()}
        images, written = meter.images - told.images, meter.bytes - told.bytes
        notes = {what: n - told.notes.get(what, 0) for what, n in meter.notes.items()}
        told.add(seconds, images, written)
        told.note(notes)
        parent.send({"rows": rows, "seconds": seconds, "images": images, "bytes": written, "notes": notes})

    while writer.missing:
        blocks = iter(claims)
        first = next(blocks, None)
        if first is None:
            time.sleep(_WAIT_S)  # others have the rest; should one of them die, its blocks are free again
            continue
        job = Job(writer, task.request, task.effort, meter)
        job.run(chain([first], blocks), tell, claims.release)
        tell(0)


def _live(parent: Parent) -> None:
    """Signs of life, also while the backbone is compiled, or others have the rest of the blocks."""
    while True:
        parent.send({"rows": 0, "seconds": {}, "images": 0, "bytes": 0})
        time.sleep(_SIGN_S)
