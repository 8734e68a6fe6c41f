"""The table of a sweep: a line for each adapter, in the order of its file."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from udta._console.text_table import text_table
from udta._files.atomic import new_folder, write_text
from udta._files.table_file import csv_cell, write_table
from udta.errors import AdapterError
from udta.labels.options import LabelOptions
from udta.tasks import FIGURE_NAMES
from udta.training.sweep._tasks import task_names
from udta.training.sweep._trial import Trial


@dataclass(frozen=True)
class SweepReport:
    """`rows` is the table, `best` the name of the best adapter by task (see `task_names`)."""

    out: str
    rows: Sequence[Mapping[str, Any]]
    best: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {"out": self.out, "best": dict(self.best), "adapters": [dict(row) for row in self.rows]}

    def __str__(self) -> str:
        """For a terminal; accuracies in percent."""
        cells = (_cells(row, row["name"] in self.best.values()) for row in self.rows)
        figures = {str(row["figure"]) for row in self.rows}
        # Adapters of one table may be of several tasks.
        heading = FIGURE_NAMES[min(figures)] if len(figures) == 1 else "figure"
        legend = "views: what is said averaged over all cached views; * best on the validation split"
        return "\n".join([text_table((*_HEADINGS, "valid. %", f"{heading} %", "views %"), cells, left=2), legend])


def make_report(out: Path, trials: Sequence[Trial], best: Mapping[LabelOptions, Trial]) -> SweepReport:
    """The table of what there is."""
    tasks = task_names(trial.member.labels for trial in trials)
    names = {tasks[labels]: trial.member.name for labels, trial in best.items()}
    columns = dict.fromkeys(name for trial in trials for name in _figures(trial))
    # Every row has every column, as a table wants it; figures of other tasks are empty.
    rows = [{**_row(trial, tasks[trial.member.labels]), **columns, **_figures(trial)} for trial in trials]
    return SweepReport(str(out), rows, names)


def write_results(out: Path, report: SweepReport) -> None:
    """`results.csv`, `results.parquet` where pyarrow is installed, and the best run: `best/`, or `best/<task>/` of several."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(report.rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in report.rows)
    write_text(out / "results.csv", text.getvalue())
    if find_spec("pyarrow"):  # the extra `parquet`; results.csv holds the same
        write_table(out / "results.parquet", {name: [row[name] for row in report.rows] for name in report.rows[0]})
    if not report.best:
        shutil.rmtree(out / "best", ignore_errors=True)
        return
    # Replaced as a whole: half of one run and half of another would be loaded without a word.
    with new_folder(out / "best", replace=True) as folder:
        for task, name in report.best.items():
            run, target = out / "runs" / name, folder / task if len(report.best) > 1 else folder
            # The state says that it is finished, so nothing would train it again.
            if not run.is_dir():
                raise AdapterError(f"{run} is missing, though it was finished; remove {out} to train all again")
            shutil.copytree(run, target, dirs_exist_ok=len(report.best) == 1)


def _row(trial: Trial, task: str) -> dict[str, Any]:
    member = trial.member
    return {
        "name": member.name,
        "status": trial.status,
        "adapter": member.adapter,
        "task": task,
        "label_fraction": float(member.label_fraction),
        "seed": member.seed,
        "taps": " ".join(trial.model.taps_used),
        # Sorted, so that equal adapters have equal cells.
        "options": json.dumps(trial.model.options, sort_keys=True),
        **{name: _cell(name, value) for name, value in asdict(member.settings).items()},
        "epochs_done": len(trial.history),
        "parameters": trial.model.n_parameters,
        "train_samples": len(trial.rows),
        "train_seconds": round(trial.seconds, 3),
        "figure": trial.model.task.figure,
    }


def _cell(name: str, value: Any) -> Any:
    """A field of a recipe, of one kind whatever an adapter has: weights by class as JSON."""
    if isinstance(value, str | tuple):
        return value if isinstance(value, str) else json.dumps(dict(value))
    return value if name in _WHOLE else float(value)


def _figures(trial: Trial) -> dict[str, Any]:
    """What adapters are compared by, and metrics."""
    task = trial.model.task
    measured = {name: trial.metrics.get(name) for name in task.columns}
    return {f"validation_{task.figure}": trial.validation, **measured}


_WHOLE = ("epochs", "batch_size")
_HEADINGS = ("adapter", "status", "task", "epochs", "images", "params", "train s")


def _cells(row: Mapping[str, Any], best: bool) -> tuple[str, ...]:
    figure = row["figure"]
    return (
        row["name"] + " *" * best,
        row["status"],
        row["task"],
        str(row["epochs_done"]),
        str(row["train_samples"]),
        f"{row['parameters']:,}",
        f"{row['train_seconds']:.1f}",
        *(
            "-" if row[name] is None else f"{100 * row[name]:.1f}"
            for name in (f"validation_{figure}", figure, f"{figure}_views")
        ),
    )
