"""What runs a folder holds: those of a sweep, of few-shot curves, or any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udta._console.terminal import one_line
from udta._console.text_table import text_table
from udta.errors import AdapterError
from udta.summary._run_info import RunInfo, read_run, runs_below

_RESULTS, _STATE = "results.csv", "state.safetensors"  # of a sweep


@dataclass(frozen=True)
class RunsInfo:
    """The finished runs below a folder, by their paths in it.

    `sweep` is `finished`, `unfinished`, or None where it is none; `unreadable` gives reasons by path.
    """

    folder: str
    sweep: str | None
    runs: Mapping[str, RunInfo]
    unreadable: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        runs = {name: run.to_json() for name, run in self.runs.items()}
        return {"folder": self.folder, "sweep": self.sweep, "runs": runs, "unreadable": dict(self.unreadable)}

    def __str__(self) -> str:
        note = {
            None: "",
            "finished": f" of a sweep; {_RESULTS} has every adapter of it, also those that were stopped",
            "unfinished": " of a sweep that is UNFINISHED: the same `udta sweep` goes on",
        }[self.sweep]
        head = ("run", "adapter", "task", "outputs", "images", "params", "train s", "figure", "value")
        table = text_table(head, (_cells(name, run) for name, run in self.runs.items()), left=3, dashes=False)
        lines = [f"{self.folder}: {len(self.runs)} run(s){note}", *([table] if self.runs else [])]
        return "\n".join([*lines, *map(one_line, self.unreadable.values())])


def read_runs(folder: Path) -> RunsInfo | None:
    """The runs below a folder; None where there is none."""
    sweep = None
    if (folder / _STATE).exists():
        sweep = "finished" if (folder / _RESULTS).exists() else "unfinished"
    found = runs_below(folder)
    if sweep:  # what is best is a copy
        found = [run for run in found if run.relative_to(folder).parts[0] != "best"]
    runs, unreadable = dict[str, RunInfo](), dict[str, str]()
    for run in found:
        try:
            runs[str(run.relative_to(folder))] = read_run(run)
        except AdapterError as error:  # the others are there all the same
            unreadable[str(run.relative_to(folder))] = str(error)
    return RunsInfo(str(folder), sweep, runs, unreadable) if found or sweep else None


def _cells(name: str, run: RunInfo) -> tuple[str, ...]:
    figure, value = run.figure or ("-", None)
    return (
        one_line(name),
        one_line(run.adapter),
        one_line(run.task),
        str(len(run.classes)),
        one_line(run.training.get("samples", "-")),
        "-" if run.parameters is None else f"{run.parameters:,}",
        "-" if run.train_seconds is None else f"{run.train_seconds:.1f}",
        one_line(figure),
        "-" if value is None else f"{value:.4f}",
    )
