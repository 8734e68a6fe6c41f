"""The folder of a run: what may lie in it, and `history.csv`, which grows while training goes on."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from udta._files.atomic import is_temporary
from udta.errors import AdapterError
from udta.training._learner import EpochResult

RUN_FILES = ("adapter.safetensors", "metrics.json", "history.csv")
HISTORY_COLUMNS = [field.name for field in fields(EpochResult)]
CHECKPOINT = "checkpoint.safetensors"  # there until the run is complete


def claim(run: Path) -> Path:
    """A folder for a run. Raises `AdapterError` when something else is at this path, which is left alone."""
    if run.exists() and not (run.is_dir() and all(_is_ours(file.name) for file in run.iterdir())):
        raise AdapterError(f"{run} exists and is not a run folder; it was left as it is, choose another --out")
    run.mkdir(parents=True, exist_ok=True)
    return run


def empty(run: Path) -> None:
    """An existing run is trained anew; the checkpoint stays until it is overwritten or the run is complete."""
    for file in run.iterdir():
        # A folder in it, or a file of anybody else, has been refused by `claim`.
        if file.name != CHECKPOINT:
            file.unlink()


def history_line(result: EpochResult) -> list[str]:
    """A line of `history.csv`."""
    # Six digits: more would show in which order sums were rounded.
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in asdict(result).values()]


def history_writer(
    history: TextIO,
    earlier: list[dict[str, Any]],
    epochs: int,
    on_epoch: Callable[[EpochResult, int], None] | None,
) -> Callable[[EpochResult], None]:
    """A function that writes a line an epoch, after those of `earlier`, to which it adds."""
    # All lines again: those after the last checkpoint are of epochs that are trained once more.
    writer = csv.writer(history)
    writer.writerows([HISTORY_COLUMNS, *(history_line(EpochResult(**line)) for line in earlier)])

    def log(result: EpochResult) -> None:
        earlier.append(asdict(result))
        writer.writerow(history_line(result))
        history.flush()  # people watch it grow
        if on_epoch:
            on_epoch(result, epochs)

    return log


def _is_ours(name: str) -> bool:
    """A file of a run, or what a killed process left of one."""
    names = (*RUN_FILES, CHECKPOINT)
    return name in names or any(is_temporary(name, known) for known in names)
