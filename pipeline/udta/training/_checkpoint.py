"""Checkpoints: a training that is killed goes on where it was, and ends in the bytes of one that was not.

What decides how a training goes on: the adapter's parameters and buffers, the optimiser's moments and steps, the states of the
random generators, the place in the loader's epoch, and the sums and lines of `history.csv` so far. All of it is one safetensors
file with one JSON header and a checksum, written under a temporary name and renamed.

Layout (format version 3), the same for a single training and for a sweep, which has many runs. Tensors, for each run in
training: `<run>/adapter/<name>`, `<run>/first/<parameter>`, `<run>/second/<parameter>`, `<run>/random/<generator>`. Metadata: the
single key `udta-checkpoint` with the JSON of `format`, `task` (what is being trained, all that decides its result), `progress`
(how far it is), `runs` (by name, the `history` of a run and what else a sweep knows of it) and `checksum`, see
`udta._files.tensor_file`; a single training has also the `loader` and its `bytes_read`.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from udta._files.tensor_file import read_tensors, write_tensors
from udta._machine.device import random_states, set_random_states
from udta.adapters import Adapter
from udta.training._learner import Learner, Progress

# 1 and 2 had two layouts, one of a single training, one of a sweep.
FORMAT = 3
_KEY = "udta-checkpoint"
_RUN = "run"  # what the only run of a single training is called
_LOG = logging.getLogger(__name__)

# A killed training loses this much at most. Writing may take a hundredth of the time: with a slow disk the next one waits longer.
PERIOD_S = 5.0
_SHARE = 0.01

States = Mapping[str, Mapping[str, Tensor]]  # by run


def write_checkpoint(path: Path, task: Mapping[str, Any], document: Mapping[str, Any], states: States) -> None:
    """Write it completely or not at all; see the head of this module for what it holds."""
    tensors = {f"{run}/{name}": value for run, state in states.items() for name, value in state.items()}
    write_tensors(path, _KEY, {"format": FORMAT, "task": dict(task), **document}, tensors)


def read_checkpoint(path: Path, accept: Callable[[dict[str, Any]], None]) -> tuple[dict[str, Any], States]:
    """The document and the states by run, on the CPU; `accept` may refuse the document before tensors are read.

    Raises:
        KeyError: a file of tensors of another kind.
        ValueError: cut short, or changed since it was written; the message says which.
        OSError: it is not there or cannot be read.
    """
    document, tensors = read_tensors(path, _KEY, accept)
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        run, _, part = name.partition("/")
        states[run][part] = value
    return document, states


class Resumable(Protocol):
    """A source of batches that says where it is and goes on from there, such as a `FeatureLoader`."""

    bytes_read: int

    def state_dict(self) -> dict[str, int]: ...
    def load_state_dict(self, state: dict[str, int]) -> None: ...


class Checkpoints:
    """The checkpoint of one training: `resume` once, `offer` after every step.

    Whoever trains removes it when the results are on the disk.

    Args:
        path: the file.
        task: JSON of everything that decides the result. A checkpoint of another task is passed over and overwritten by the next
            one: it is what is left when somebody stops a training, corrects a setting and starts again, and to refuse would only
            make them delete it by hand; a finished run at this place is not asked for either. So is a damaged one.
        loader: where the batches come from.

    Attributes:
        spent: seconds of wall and of processor time that earlier processes took for this training.
        history: the lines of `history.csv` so far.
    """

    def __init__(self, path: Path, task: Mapping[str, Any], loader: Resumable) -> None:
        self._path, self._loader = path, loader
        self._task = json.loads(json.dumps(task))  # as it comes back: tuples as lists
        self._found = self._read()
        self.spent, self.history = (0.0, 0.0), list[dict[str, Any]]()
        if self._found is not None:
            progress = self._found[0]["progress"]
            self.spent, self.history = (
                (progress["seconds"], progress["cpu_seconds"]),
                self._found[0]["runs"][_RUN]["history"],
            )
        self._written, self._cost = time.monotonic(), 0.0

    def resume(self, adapter: Adapter, learner: Learner) -> None:
        """Put `learner`, its `adapter` and the loader where they were; without a checkpoint they stay as they are."""
        if self._found is not None:
            document, state = self._found[0], self._found[1][_RUN]
            adapter.load_state_dict(below("adapter/", state))
            learner.load(0, state, Progress.from_json(document["progress"], learner.device))
            # Of torch's own generators too: an adapter may draw in its steps, as for dropout.
            own = below("random/", state)
            set_random_states({name: own[name] for name in own if name != "mixup"}, learner.device)
            self._loader.load_state_dict(document["loader"])
            self._loader.bytes_read = document["bytes_read"]
            self._found = None  # its tensors are copied
        self._written = time.monotonic()

    def offer(self, learner: Learner) -> None:
        """After a step: write one if the last one is old enough."""
        started = time.monotonic()
        if started - self._written < max(PERIOD_S, self._cost / _SHARE):
            return
        document = {
            "progress": learner.progress.to_json(),
            "runs": {_RUN: {"history": self.history}},
            "loader": self._loader.state_dict(),
            "bytes_read": self._loader.bytes_read,
        }
        own = {f"random/{name}": value for name, value in random_states(learner.device).items()}
        write_checkpoint(self._path, self._task, document, {_RUN: {**learner.state(0), **own}})
        self._written = time.monotonic()
        self._cost = self._written - started

    def _read(self) -> tuple[dict[str, Any], States] | None:
        try:
            return read_checkpoint(self._path, self._accept)
        except (FileNotFoundError, _OtherTrainingError):
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("%s: %s; the training starts over", self._path, error)
            return None

    def _accept(self, header: Mapping[str, Any]) -> None:
        if header["format"] != FORMAT or header["task"] != self._task:
            raise _OtherTrainingError


class _OtherTrainingError(Exception):
    """A checkpoint that is whole, but of another format or task."""


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
