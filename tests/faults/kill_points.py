"""Kill a verb right before its n-th change of the file system, for every n, run it again, and see whether a promise was broken.

The promise: the second run ends in the bytes of a run that nobody killed (but for times), nothing of the first one is left beside
them, no file of anybody else was touched, and whoever read in between got the right values or a clear error.

A scenario is run in children forked from a process that has imported everything, where no thread was ever started: that takes
some tens of milliseconds instead of the five seconds that an import of torch takes. In the child an audit hook sees every file
that is opened for writing, renamed, linked or removed, and every folder that is made or removed; `fsync`, the moment after
a file was opened and the closing of an HDF5 file are wrapped.

Run as a script it prints a table: `python tests/faults/kill_points.py [--points N] [SCENARIO...]`.
"""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

DEADLINE_S = 300  # a child that takes longer hangs
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


@dataclass(frozen=True)
class Scenario:
    """One verb. All functions run in the scenario's folder, in a child of their own.

    `prepare` makes what is there before; `call` is what is killed and run again; `read` is what others do meanwhile, and raises
    `AssertionError` for wrong values; `refused` is an error of the second run that is right where the first one was complete.
    """

    name: str
    call: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    read: Callable[[], object] = lambda: None
    refused: str | None = None


@dataclass
class Outcome:
    """What became of a scenario: how many changes it makes, at which of them it was killed, and where a promise was broken."""

    name: str
    changes: int
    killed: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name:24} {self.changes:5} {self.killed:6} {self.killed - len(self.broken):5} {self.seconds:7.1f}"


class Changes:
    """Counts changes of the file system below the working directory, and kills this process before the `deadly`-th."""

    def __init__(self, deadly: int | None, tell: Callable[[str], object]) -> None:
        self.count, self._deadly, self._tell = 0, deadly, tell
        self._root, self._lock = str(Path.cwd()), threading.Lock()
        self._opened = 0  # the thread that is opening a file for writing

    def install(self) -> None:
        """For the rest of this process's life."""
        sys.addaudithook(self._audit)
        os.fsync = self._counted(os.fsync, "fsync")
        os.open = self._counted_after(os.open)
        io.open = builtins.open = self._counted_after(io.open)
        h5py.File.close = self._counted(h5py.File.close, "h5py close")

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and self._is_here(path):
                self._change(f"open {path}")
                self._opened = threading.get_ident()
        elif event in _CHANGES and self._is_here(arguments[0]):
            self._change(f"{event} {arguments[0]}")
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2":  # called at once
            self._change("exchange")

    def _is_here(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        text = os.fsdecode(path)
        return not text.startswith("/") or text.startswith(self._root)

    def _counted(self, function: Callable[..., object], name: str) -> Callable[..., object]:
        def counting(*args: object) -> object:
            self._change(name)
            return function(*args)

        return counting

    def _counted_after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """There is a file, and nothing in it."""

        def counting(path: object, *args: object, **options: object) -> Any:
            opened = function(path, *args, **options)
            if self._opened == threading.get_ident():
                self._opened = 0
                self._change(f"anything is written to {path}")
            return opened

        return counting

    def _change(self, what: str) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._deadly:
                self._tell(f"before {self.count}: {what}".replace(self._root + "/", ""))
                os.kill(os.getpid(), signal.SIGKILL)


def forked(function: Callable[[Callable[[str], object]], object], folder: Path) -> tuple[int, str]:
    """Call it in `folder` in a child; its exit status (negative: a signal) and what it told, or its traceback."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            os.chdir(folder)
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            function(lambda text: os.write(writing, text.encode()))
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc()[-3000:].encode())
        finally:
            os._exit(status)
    os.close(writing)
    told, deadline = b"", time.monotonic() + DEADLINE_S
    while ready := select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 1 << 16)
        told += part
        if not part:
            break
    if not ready:
        told += b" HANGS"
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told.decode(errors="replace")


def run(scenario: Scenario, points: int | None = None) -> Outcome:
    """Kill it at so many points, spread evenly, or at all of them."""
    from trees import differences, snapshot

    started, base = time.monotonic(), Path(tempfile.mkdtemp(prefix="kill-points-"))
    try:
        prepared = base / "prepared"
        prepared.mkdir()
        _must(forked(lambda _: scenario.prepare(), prepared), f"{scenario.name}: prepare")
        folder = base / "folder"  # the same for all: some outputs name their path
        shutil.copytree(prepared, folder, symlinks=True)

        def count(tell: Callable[[str], object]) -> None:
            changes = Changes(None, tell)
            changes.install()
            scenario.call()
            tell(str(changes.count))

        told = _must(forked(count, folder), f"{scenario.name}: call")
        expected = snapshot(folder)
        outcome = Outcome(scenario.name, int(told))
        for point in chosen(outcome.changes, points):
            shutil.rmtree(folder)
            shutil.copytree(prepared, folder, symlinks=True)
            status, where = forked(lambda tell, point=point: _killed(scenario, point, tell), folder)
            if status != -signal.SIGKILL:
                if status:
                    outcome.broken.append(f"{point}: not killed, but {where}")
                continue
            outcome.killed += 1
            problems = []
            status, told = forked(lambda _: _read(scenario), folder)
            if status:
                problems.append(f"a reader met {told}")
            status, told = forked(lambda _: scenario.call(), folder)
            if status and not (scenario.refused and scenario.refused in told):
                problems.append(f"the second run ended in {status}: {told}")
            problems += differences(expected, snapshot(folder))
            if problems:
                outcome.broken.append(f"{where}\n    " + "\n    ".join(problems))
        outcome.seconds = round(time.monotonic() - started, 1)
        return outcome
    finally:
        shutil.rmtree(base, ignore_errors=True)


def chosen(changes: int, points: int | None) -> Sequence[int]:
    """Numbers of changes, from 1: all, or so many from the first to the last."""
    if points is None or points >= changes:
        return range(1, changes + 1)
    return sorted({1 + round(step * (changes - 1) / max(points - 1, 1)) for step in range(points)})


def _killed(scenario: Scenario, point: int, tell: Callable[[str], object]) -> None:
    Changes(point, tell).install()
    scenario.call()


def _read(scenario: Scenario) -> None:
    from udta.errors import UdtaError

    try:
        scenario.read()
    except (UdtaError, FileNotFoundError):
        return


def _must(found: tuple[int, str], what: str) -> str:
    if found[0]:
        raise RuntimeError(f"{what}: {found[1]}")
    return found[1]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--points", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from verbs import scenarios

    with tempfile.TemporaryDirectory(prefix="kill-points-inputs-") as inputs:
        every = scenarios(Path(inputs), forked)
        if not options.json:
            print(f"{'scenario':24} {'ops':>5} {'killed':>6} {'kept':>5} {'seconds':>7}", flush=True)
        outcomes = []
        for name in options.scenarios or list(every):
            outcomes.append(run(every[name], options.points))
            print(json.dumps(asdict(outcomes[-1])) if options.json else outcomes[-1], flush=True)
    if not options.json:
        killed, broken = (sum(outcome.killed for outcome in outcomes), sum(len(o.broken) for o in outcomes))
        print(f"{'all':24} {sum(o.changes for o in outcomes):5} {killed:6} {killed - broken:5}")
        for outcome in outcomes:
            for problem in outcome.broken:
                print(f"\n{outcome.name}: killed {problem}")


if __name__ == "__main__":
    main()
