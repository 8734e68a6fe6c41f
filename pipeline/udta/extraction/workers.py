"""Several processes that extract into one store: each claims blocks, and any of them may die.

The parent holds the store's lock and opens the store; a child is a Python that runs `main` below, so that it does not matter what
the parent's own main module is. It gets what it needs on standard input and reports on standard output, one JSON
document a line. A child ends when its standard input does, that is when its parent dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import torch

from udta import errors
from udta._machine.cores import n_cores
from udta.errors import BackboneError, StoreError, UdtaError
from udta.extraction.commit import Effort, prepare_blocks
from udta.extraction.counter import Counter
from udta.extraction.meter import Meter
from udta.extraction.request import Request
from udta.extraction.silent_workers import Silence
from udta.images import OnError
from udta.store import BlockWriter, Claims, StoreWriter, engine_at

# What worker of which number reports; None when it has ended.
Events = SimpleQueue[tuple[int, dict[str, Any] | None]]

_WAIT_S = 0.1
# A worker gives a sign of life so often, whatever it computes.
_SIGN_S = 5.0


@dataclass(frozen=True)
class Task:
    """What a child works on; the parent sends it to nobody else."""

    path: Path
    claims: Path
    request: Request
    on_error: OnError
    effort: Effort


def in_processes(
    n: int,
    writer: StoreWriter,
    request: Request,
    on_error: OnError,
    *,
    prefetch: int,
    meter: Meter,
    counter: Counter,
) -> int:
    """Compute and commit all missing blocks in `n` processes; returns how many rows they computed.

    On CPUs they share the cores; on GPUs they take turns on all of them. One that gives no sign of life any more, because it was
    stopped, keeps the blocks that it has claimed; `counter` says which it is.

    Raises:
        UdtaError: of the first child that failed, whatever kind it was; the others are stopped, what they committed stays.
        StoreError: every child died.
    """
    effort = Effort.on(request.device, prefetch, max(1, n_cores() // n))
    events: Events = SimpleQueue()
    claims = writer.claims_folder()
    children: list[_Child] = []
    try:
        for number in range(n):
            own = replace(request, device=_device(request.device, number), layout=writer.layout)
            task = Task(writer.path, claims, own, on_error, effort)
            children.append(_Child(number, task, events, writer.lock_descriptor))
        rows = _listen(Silence([child.pid for child in children]), events, meter, counter)
    finally:
        for child in children:
            child.end()
        writer.refresh()
    if writer.missing:
        raise StoreError(
            f"{writer.path}: all {n} worker processes died; {writer.layout.n_blocks - len(writer.missing)} of "
            f"{writer.layout.n_blocks} blocks are committed, the same command continues"
        )
    return rows


class _Child:
    """A worker process; what it reports goes into `events`, and None when it has ended, however it did.

    It has the descriptor of the store's lock, so that no writer comes in while one of a killed parent's is still there.
    """

    def __init__(self, number: int, task: Task, events: Events, lock: int) -> None:
        try:
            self._content = pickle.dumps(task)
        except Exception as error:  # whatever a stranger's module raises
            raise BackboneError(
                f"backbone {task.request.backbone.factory} cannot be sent to another process ({error}); use --workers 1"
            ) from error
        self._number, self._events = number, events
        command = [sys.executable, "-c", f"from {__name__} import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock])
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def end(self) -> None:
        """Kill it if it lives."""
        self._process.kill()
        self._process.wait()
        self._follower.join()
        assert self._process.stdin is not None  # pipes were asked for
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _follow(self) -> None:
        assert self._process.stdin is not None  # pipes were asked for
        assert self._process.stdout is not None
        header = json.dumps({"path": sys.path, "bytes": len(self._content)}).encode() + b"\n"
        with (
            self._process.stdout as reports,
            contextlib.suppress(OSError, ValueError),
        ):  # killed in the middle of a line
            self._process.stdin.write(header + self._content)
            self._process.stdin.flush()
            for line in reports:
                self._events.put((self._number, json.loads(line)))
        self._events.put((self._number, None))


def _listen(living: Silence, events: Events, meter: Meter, counter: Counter) -> int:
    """Until every child has ended."""
    rows = 0
    while living:
        try:
            number, event = events.get(timeout=_SIGN_S)
        except Empty:
            counter.notice(str(living))
            continue
        if event is None:
            living.ended(number)
            counter.notice(str(living))
        elif "error" in event:
            raise _rebuilt(event["error"], event["message"])
        else:
            living.heard(number)
            counter.notice(str(living))
            meter.add(event["seconds"], event["images"], event["bytes"])
            meter.note(event.get("notes", {}))
            rows += event["rows"]
            if event["rows"]:
                counter.add(event["rows"])
    return rows


def _rebuilt(kind: str, message: str) -> UdtaError:
    """An error of a child, of the same class; its constructor wants more than the message."""
    found = getattr(errors, kind, UdtaError)
    error: UdtaError = found.__new__(found)
    Exception.__init__(error, message)
    return error


def _device(device: torch.device, number: int) -> torch.device:
    """`cuda` without a number means all of them."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", number % max(1, torch.cuda.device_count()))


class Reports:
    """Lines to the parent, from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def __call__(self, report: Mapping[str, Any]) -> None:
        """One line."""
        with self._lock:
            print(json.dumps(report), file=self._file, flush=True)


def _work(task: Task, reports: Reports) -> None:
    """In the child: claim, compute, commit, until the ledger has everything."""
    engine = engine_at(task.path)
    assert engine is not None  # the parent holds its lock
    samples = tuple(zip(task.request.layout.ids, task.request.manifest.hashes, strict=True))
    writer = BlockWriter(task.path, engine, task.request.layout, samples)
    claims, meter, told = Claims(task.claims, writer), Meter(), Meter()

    def tell(rows: int) -> None:
        seconds = {name: value - told.seconds[name] for name, value in meter.seconds.items()}
        images, written = meter.images - told.images, meter.bytes - told.bytes
        notes = {what: n - told.notes.get(what, 0) for what, n in meter.notes.items()}
        told.add(seconds, images, written)
        told.note(notes)
        reports({"rows": rows, "seconds": seconds, "images": images, "bytes": written, "notes": notes})

    while writer.missing:
        blocks = iter(claims)
        first = next(blocks, None)
        if first is None:
            time.sleep(_WAIT_S)  # others have the rest; should one of them die, its blocks are free again
            continue
        prepare_blocks(
            writer,
            task.request,
            chain([first], blocks),
            task.on_error,
            effort=task.effort,
            meter=meter,
            computed=tell,
            committed=claims.release,
        )()
        tell(0)


def main() -> None:
    """The child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends us
    reports = Reports(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # whatever else is printed is no report
    threading.Thread(target=_live, args=[reports], daemon=True).start()
    header = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = ["", *header["path"]]  # a backbone of the user's own lies where the parent found it
    task = pickle.loads(sys.stdin.buffer.read(header["bytes"]))
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        _work(task, reports)
    except UdtaError as error:
        reports({"error": type(error).__name__, "message": str(error)})


def _live(reports: Reports) -> None:
    """Signs of life, also while the backbone is compiled, or others have the rest of the blocks."""
    while True:
        reports({"rows": 0, "seconds": {}, "images": 0, "bytes": 0})
        time.sleep(_SIGN_S)


def _die_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
