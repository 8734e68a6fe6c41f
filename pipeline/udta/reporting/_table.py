"""One line for each backbone, dataset and adapter: how good, how large, how long."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from udta._console.text_table import text_table
from udta._files.table_file import csv_cell
from udta.errors import DataError
from udta.tasks import FIGURE_NAMES


@dataclass(frozen=True)
class ResultRow:
    """Accuracies are fractions (`top1` and `mean_per_class` of view 0, `top1_views` averaged over all views), times seconds.

    `figure` is what adapters of the task are compared by, with its `value` of view 0 and `value_views` of all views; where it is
    another than `top1`, the accuracies are None.
    `live` is the fraction of some test images that have the same top-1 through the backbone as through the store; `resumed` says
    that `extract_seconds` covers only what was left of an interrupted extraction.
    """

    backbone: str
    dataset: str
    adapter: str
    top1: float | None
    mean_per_class: float | None
    top1_views: float | None
    n: int
    live: float
    parameters: int
    extract_seconds: float
    resumed: bool
    stored_bytes: int
    train_seconds: float
    figure: str
    value: float
    value_views: float


def read_result(key: tuple[str, str, str], *, features: Path, run: Path, metrics: Path) -> ResultRow:
    """Put together what the stages left: an extraction's report, a run's `metrics.json` and an evaluation's.

    Args:
        key: names of backbone, dataset and adapter, as `params.yaml` has them.
        features: JSON of `udta.extract`.
        run: JSON of `udta.train`.
        metrics: JSON of `udta.evaluate` with `parity`.

    Raises:
        DataError: a file is missing or damaged; the stage that writes it has to run first.
    """
    documents = []
    for path in (features, run, metrics):
        try:
            documents.append(json.loads(path.read_bytes()))  # bytes: JSON has its own rules for encodings
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); `dvc repro` makes it") from error
    extraction, training, evaluation = documents
    backbone, dataset, adapter = key
    figure = next(name for name in FIGURE_NAMES if name in evaluation)
    return ResultRow(
        backbone,
        dataset,
        adapter,
        top1=evaluation.get("top1"),
        mean_per_class=evaluation.get("mean_per_class"),
        top1_views=evaluation.get("top1_views"),
        n=evaluation["n"],
        live=evaluation["parity"]["same_top1"],
        parameters=training["parameters"],
        extract_seconds=extraction["seconds"],
        # Seconds are of the last run alone, so that those of a resumed one would make it look fast.
        resumed=extraction["computed_rows"] < extraction["rows"],
        stored_bytes=extraction["bytes"],
        train_seconds=training["train_seconds"],
        figure=figure,
        value=evaluation[figure],
        value_views=evaluation[f"{figure}_views"],
    )


_HEADINGS = (
    "backbone",
    "dataset",
    "adapter",
    "top-1 %",
    "per class %",
    "views %",
    "test",
    "live %",
    "params",
    "extract s",
    "MB",
    "train s",
)
_NAMES = 3  # the first columns are texts, the others figures
# Two of the columns cannot be guessed from their headings.
_LEGEND = (
    "top-1 and per class: one view a test image; views: log-probabilities averaged over all cached views;"
    " live: test images with the same top-1 from the backbone as from the store"
)


def to_text(rows: Sequence[ResultRow]) -> str:
    """For a terminal: aligned columns, accuracies in percent, and a legend."""
    return "\n".join([text_table(_HEADINGS, map(_cells, rows), left=_NAMES, fold=False), _legend(rows), ""])


def to_markdown(rows: Sequence[ResultRow]) -> str:
    """The same figures as a Markdown table, for a page."""
    rule = ("---",) * _NAMES + ("---:",) * (len(_HEADINGS) - _NAMES)
    lines = [_HEADINGS, rule, *map(_cells, rows)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", _legend(rows), ""])


def to_csv(rows: Sequence[ResultRow]) -> str:
    """For machines: every figure of `ResultRow` as it was measured, fractions and bytes, with its field names as headings."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ResultRow.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    # Names of datasets and adapters are the user's, and a spreadsheet runs what begins with `=`.
    writer.writerows({name: csv_cell(value) for name, value in asdict(row).items()} for row in rows)
    return text.getvalue()


def _cells(row: ResultRow) -> tuple[str, ...]:
    # One digit: the 95 % interval of 80 % on 5,794 images, the test split of CUB-200, reaches a point to each side.
    return (
        row.backbone,
        row.dataset,
        row.adapter,
        f"{100 * row.value:.1f}" + ("" if row.figure == "top1" else f" {FIGURE_NAMES[row.figure]}"),
        "-" if row.mean_per_class is None else f"{100 * row.mean_per_class:.1f}",
        f"{100 * row.value_views:.1f}",
        str(row.n),
        f"{100 * row.live:.1f}",
        f"{row.parameters:,}",
        f"{row.extract_seconds:.1f}{'*' * row.resumed}",
        f"{row.stored_bytes / 1e6:.1f}",
        f"{row.train_seconds:.1f}",
    )


def _legend(rows: Sequence[ResultRow]) -> str:
    resumed = "; * only what was left after an interruption" if any(row.resumed for row in rows) else ""
    return _LEGEND + resumed
