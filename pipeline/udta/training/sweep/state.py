"""Where a sweep is, in one file that is there whole or not at all: `DIR/state.safetensors`, see `udta._files.tensor_file`."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from udta._files.tensor_file import read_tensors, write_tensors
from udta.errors import AdapterError
from udta.training.sweep.group import Group
from udta.training.sweep.trial import Trial

FORMAT = 2  # 1 had tensors by group
_KEY = "udta-sweep"
_LOG = logging.getLogger(__name__)
StatesByTrial = Mapping[str, Mapping[str, Tensor]]


def save_state(
    path: Path, sweep: Mapping[str, Any], epoch: int, trials: Sequence[Trial], groups: Sequence[Group]
) -> None:
    """After `epoch`; `sweep` is what was asked for."""
    tensors: dict[str, Tensor] = {}
    for group in groups:
        for number, trial in enumerate(group.trials):
            tensors |= {f"{trial.member.name}/{name}": value for name, value in group.state(number).items()}
    document = {
        "format": FORMAT,
        "sweep": dict(sweep),
        "epoch": epoch,
        "trials": {trial.member.name: trial.record() for trial in trials},
    }
    write_tensors(path, _KEY, document, tensors)


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The document and the tensors, None where no sweep was begun or its state is damaged, which is set aside for people to see.

    Raises:
        AdapterError: the file is foreign or cannot be read.
    """
    if not path.exists():
        return None
    try:
        return read_tensors(path, _KEY, _check_format)
    except ValueError as error:  # to stop here would meet every rerun until somebody removed the file
        path.replace(damaged_path(path))
        _LOG.warning("%s: %s; it is kept as %s, and the sweep starts over", path, error, damaged_path(path).name)
        return None
    except (OSError, KeyError) as error:
        raise AdapterError(
            f"{path}: no state of a sweep ({error}); it was left as it is, choose another --out"
        ) from error


def damaged_path(path: Path) -> Path:
    """Where a damaged state is set aside."""
    return path.with_name(f"{path.name}.damaged")


def _check_format(document: Mapping[str, Any]) -> None:
    if document.get("format") != FORMAT:
        raise KeyError("written by another version of udta")


def restore(document: Mapping[str, Any], tensors: Mapping[str, Tensor], trials: Sequence[Trial]) -> StatesByTrial:
    """Put trials, made anew, where they were; returns what those that are running go on from, by name."""
    for trial in trials:
        trial.restore(document["trials"][trial.member.name])
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        trial_name, _, part = name.partition("/")
        states[trial_name][part] = value
    return states
