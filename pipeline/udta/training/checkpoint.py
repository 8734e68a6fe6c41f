"""Checkpoints: a training that is killed goes on where it was, and ends in the bytes of one that was not.

What decides how a training goes on: the adapter's parameters and buffers, the optimiser's moments, the step of the schedule,
the states of the random generators, the place in the loader's epoch, and the sums and lines of `history.csv` so far. All of it
is one safetensors file with one JSON header and a checksum, written under a temporary name and renamed.

Layout (format version 2). Tensors: `adapter/<name>`, `optimiser/<parameter number>/<name>`, `random/<name>`. Metadata: the single
key `udta-checkpoint` with the JSON of `format`, `task` (what is being trained, see `Checkpoints`), `schedule`, `rates`, `loader`,
`bytes_read`, `progress`, `history` and `checksum`, see `udta._files.tensor_file`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from udta._files.tensor_file import read_tensors, write_tensors
from udta._machine.device import random_states, set_random_states
from udta.adapters import Adapter

FORMAT = 2
_KEY = "udta-checkpoint"
_LOG = logging.getLogger(__name__)

# A killed training loses this much at most. Writing may take a hundredth of the time: with a slow disk the next one waits longer.
PERIOD_S = 5.0
_SHARE = 0.01


@dataclass
class Progress:
    """Where a training is: in which epoch, from 1; that epoch's sums so far; `seconds` of wall and processor time so far."""

    epoch: int = 1
    loss: float | Tensor = 0.0
    correct: float | Tensor = 0.0
    seen: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, loss: Tensor, correct: Tensor, samples: int) -> None:
        """One batch: its mean loss and how many were right. The sums stay on the device, which need not be waited for."""
        self.loss = self.loss + loss.detach().double() * samples
        self.correct = self.correct + correct
        self.seen += samples

    def means(self) -> tuple[float, float]:
        """Loss and accuracy."""
        return float(self.loss) / max(self.seen, 1), float(self.correct) / max(self.seen, 1)

    def next_epoch(self) -> None:
        """Its sums start at zero."""
        self.epoch, self.loss, self.correct, self.seen = self.epoch + 1, 0.0, 0.0, 0

    def to_json(self) -> dict[str, Any]:
        """Python writes floats so that they come back with the same bits."""
        return {**vars(self), "loss": float(self.loss), "correct": float(self.correct)}


@dataclass
class Learner:
    """What changes with every step."""

    adapter: Adapter
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    device: torch.device
    progress: Progress = field(default_factory=Progress)

    def tensors(self) -> dict[str, Tensor]:
        """By their names in the file."""
        moments = self.optimiser.state_dict()["state"]
        return {
            **{f"adapter/{name}": value for name, value in self.adapter.state_dict().items()},
            **{f"optimiser/{number}/{name}": v for number, state in moments.items() for name, v in state.items()},
            **{f"random/{name}": value for name, value in random_states(self.device).items()},
            "random/mixup": self.generator.get_state(),
        }

    def load(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`, with what the header holds of it."""
        self.adapter.load_state_dict(below("adapter/", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in below("optimiser/", tensors).items():
            number, _, what = name.partition("/")
            moments.setdefault(int(number), {})[what] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.schedule.load_state_dict(header["schedule"])
        for group, rate in zip(self.optimiser.param_groups, header["rates"], strict=True):
            group["lr"] = rate
        states = below("random/", tensors)
        self.generator.set_state(states.pop("mixup"))
        set_random_states(states, self.device)
        self.progress = Progress(**header["progress"])


class Place(Protocol):
    """A source of batches that says where it is and goes on from there, such as a `FeatureLoader`."""

    bytes_read: int

    def state_dict(self) -> dict[str, int]: ...  # noqa: D102
    def load_state_dict(self, state: dict[str, int]) -> None: ...  # noqa: D102


class Checkpoints:
    """The checkpoint of one training: `resume` once, `offer` after every step, `remove` when its results are on the disk.

    Args:
        path: the file.
        task: JSON of everything that decides the result. A checkpoint of another task is passed over and overwritten by the next
            one: it is what is left when somebody stops a training, corrects a setting and starts again, and to refuse would only
            make them delete it by hand; a finished run at this place is not asked for either. So is a damaged one.
        loader: where the batches come from.

    Attributes:
        spent: where an earlier process left this training, with its `seconds` and `cpu_seconds`.
        history: the lines of `history.csv` so far.
    """

    def __init__(self, path: Path, task: Mapping[str, Any], loader: Place) -> None:
        self._path, self._loader = path, loader
        self._task = json.loads(json.dumps(task))  # as it comes back: tuples as lists
        self._found = self._read()
        self.spent = Progress() if self._found is None else Progress(**self._found[0]["progress"])
        self.history: list[dict[str, Any]] = [] if self._found is None else self._found[0]["history"]
        self._written, self._cost = time.monotonic(), 0.0

    def resume(self, learner: Learner) -> None:
        """Put `learner` and the loader where they were; without a checkpoint they stay as they are."""
        if self._found is not None:
            header, tensors = self._found
            learner.load(header, tensors)
            self._loader.load_state_dict(header["loader"])
            self._loader.bytes_read = header["bytes_read"]
            self._found = None  # its tensors are copied
        self._written = time.monotonic()

    def offer(self, learner: Learner) -> None:
        """After a step: write one if the last one is old enough."""
        started = time.monotonic()
        if started - self._written < max(PERIOD_S, self._cost / _SHARE):
            return
        header = {
            "format": FORMAT,
            "task": self._task,
            "schedule": learner.schedule.state_dict(),
            "rates": [float(group["lr"]) for group in learner.optimiser.param_groups],
            "loader": self._loader.state_dict(),
            "bytes_read": self._loader.bytes_read,
            "progress": learner.progress.to_json(),
            "history": self.history,
        }
        write_tensors(self._path, _KEY, header, learner.tensors())
        self._written = time.monotonic()
        self._cost = self._written - started

    def remove(self) -> None:
        """The training is complete."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        try:
            return read_tensors(self._path, _KEY, self._accept)
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
