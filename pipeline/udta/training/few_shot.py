"""Few-shot curves: how good an adapter is after 1, 2, 5, 10 or all images a class, from one store.

No image is extracted again for it: a point of the curve is an ordinary training on a part of the training rows, evaluated on
the whole test split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from udta._console.progress import Progress, announce, watched
from udta._console.text_table import text_table
from udta._files.atomic import write_json
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import write_table
from udta.errors import ConfigError, Problems
from udta.labels import with_labels
from udta.scoring import labelled_rows
from udta.store import MULTICLASS, Store
from udta.training.train import train

# Close together where a curve is steep; None is all, the right end that others are compared with.
SHOTS: tuple[int | None, ...] = (1, 2, 5, 10, None)
SEEDS = 5  # with one or two images a class it is their draw that decides, so a point is a mean
_FIGURES = ("top1", "top1_views", "mean_per_class", "balanced_accuracy", "macro_f1")
_SHOWN = {"top1": "top-1 %", "top1_views": "over views %", "mean_per_class": "per class %", "macro_f1": "macro F1 %"}


@dataclass(frozen=True)
class ShotRun:
    """One training: `shots` images a class (None: all of them), `images` in all; figures of the test split."""

    shots: int | None
    seed: int
    images: int
    top1: float
    top1_views: float
    mean_per_class: float
    balanced_accuracy: float
    macro_f1: float
    train_seconds: float


@dataclass(frozen=True)
class FewShotReport:
    """The runs of a curve, in the order of shots and seeds."""

    store: str
    adapter: str
    runs: tuple[ShotRun, ...]

    @property
    def curve(self) -> list[dict[str, Any]]:
        """A point for each number of shots: mean over seeds, and `*_std`, the sample standard deviation (None of one seed)."""
        points = []
        for shots in dict.fromkeys(run.shots for run in self.runs):
            runs = [run for run in self.runs if run.shots == shots]
            point: dict[str, Any] = {"shots": shots, "images": runs[0].images, "seeds": len(runs)}
            for figure in _FIGURES:
                values = [getattr(run, figure) for run in runs]
                point[figure] = float(np.mean(values))
                # Of a sample (n - 1): five seeds stand for all that could have been drawn.
                point[f"{figure}_std"] = float(np.std(values, ddof=1)) if len(runs) > 1 else None
            points.append(point)
        return points

    def to_json(self) -> dict[str, Any]:
        """The curve and every run."""
        return {
            "store": self.store,
            "adapter": self.adapter,
            "curve": self.curve,
            "runs": [asdict(run) for run in self.runs],
        }

    def __str__(self) -> str:
        cells = (
            [
                _shown(point["shots"]),
                str(point["images"]),
                *(_percent(point[figure], point[f"{figure}_std"]) for figure in _SHOWN),
            ]
            for point in self.curve
        )
        return text_table(("shots", "images", *_SHOWN.values()), cells, left=0, dashes=False)


@one_writer_of("out")
@watched("runs")
def fewshot(
    store: str | Path | Store,
    *,
    out: str | Path,
    adapter: str = "udta",
    shots: Sequence[int | None] = SHOTS,
    seeds: int | Sequence[int] = SEEDS,
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str = MULTICLASS,
    separator: str | None = None,
    split: str = "train",
    test_split: str = "test",
    overwrite: bool = False,
    device: str = "auto",
    on_run: Callable[[ShotRun, int, int], None] | None = None,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> FewShotReport:
    """Train an adapter on nested, seeded subsets of the training rows, the same number of each class, and evaluate each.

    Args:
        store: where the features are.
        out: a folder for `few_shot.json` (curve and runs), `few_shot.csv` (a line a run) and the run folders `<shots>/<seed>`.
        adapter: as of `train`.
        shots: images a class, None for all; a class with fewer gives what it has.
        seeds: how many, counted from 0, or which; a seed decides both the subset and the training.
        options: as of `train`.
        recipe: as of `train`.
        labels: as of `train`, with `column`.
        column: as of `train`.
        task: `multiclass`: others have no images of a class to count.
        separator: as of `train`.
        split: the rows that subsets are taken from.
        test_split: the rows to evaluate on.
        overwrite: train anew where other runs are finished; those that are asked for are never trained twice.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_run: called after every training with its figures, how many are done, and of how many.
        progress: whether a bar is shown, or what is called instead with what is counted ("views read", "runs"), how many are
            done, of how many, and a word more, for all that is gone through; by default a bar in a notebook alone.

    Returns:
        The curve, a point for each number of shots, and every run.

    Raises:
        ConfigError: nothing to train, no such split, or as `train`.
        AdapterError, StoreError: as `train`.
        OutputBusyError: another process is writing `out`.

    Example:
        >>> report = udta.fewshot("photos.zarr", adapter="ridge", shots=[1, None], seeds=1, out="few")
        >>> [point["images"] for point in report.curve]
        [3, 18]
    """
    folder = local_path("out", out)
    opened = with_labels(store, labels, column=column, task=task, separator=separator)
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    problems = Problems()
    if opened.task != MULTICLASS:
        problems.add(
            f"task is {opened.task!r}: few-shot curves count the images of a class, so they are of {MULTICLASS} alone"
        )
    if not shots or any(count is not None and count < 1 for count in shots):
        problems.add(
            f"shots are {list(shots)}: give at least one number of images a class, each 1 or more, or None for all"
        )
    if not chosen:
        problems.add(f"seeds is {seeds}: give at least one")
    rows = problems.collect(labelled_rows, opened, split)
    problems.collect(labelled_rows, opened, test_split)
    problems.raise_any()
    assert rows is not None
    runs = list[ShotRun]()
    announce("runs", 0, len(shots) * len(chosen))
    for count in shots:
        for seed in chosen:
            report = train(
                opened,
                out=folder / _shown(count) / str(seed),
                adapter=adapter,
                options=options,
                recipe=recipe,
                seed=seed,
                # Exactly these; a run that is finished is found by the contents of its images.
                rows=few_rows(rows, opened.labels[rows], count, seed),
                test_split=test_split,
                overwrite=overwrite,
                device=device,
            )
            figures = {figure: report.metrics[figure] for figure in _FIGURES}
            runs.append(ShotRun(count, seed, report.train_samples, train_seconds=report.seconds, **figures))
            announce("runs", len(runs), len(shots) * len(chosen))
            if on_run:
                on_run(runs[-1], len(runs), len(shots) * len(chosen))
    result = FewShotReport(str(opened.path), adapter, tuple(runs))
    write_json(folder / "few_shot.json", result.to_json())
    columns = {field.name: [getattr(run, field.name) for run in runs] for field in fields(ShotRun)}
    write_table(folder / "few_shot.csv", {**columns, "shots": [_shown(run.shots) for run in runs]})
    return result


def few_rows(
    rows: Int64[np.ndarray, " rows"], labels: Int64[np.ndarray, " rows"], shots: int | None, seed: int
) -> Int64[np.ndarray, " few"]:
    """`shots` rows of each class in ascending order; those of fewer shots are among those of more with the same seed."""
    # One order for all numbers of shots: the first image of a class is among its first two, so that a curve shows more images
    # and not other ones.
    order = np.random.default_rng(seed).permutation(len(rows))
    few = [order[labels[order] == label][:shots] for label in np.unique(labels)]
    # Ascending, as rows of a split are: the order of an epoch depends on the seed alone.
    return np.sort(rows[np.concatenate(few)])


def parse_shots(text: str) -> list[int | None]:
    """The shots that a user wrote, such as `1,5,all`; raises `ConfigError`."""
    wrong = [part for part in text.split(",") if part != "all" and not part.isdecimal()]
    if wrong:
        raise ConfigError(f"shots {text!r}: {wrong[0]!r} is neither a number nor 'all'")
    return [None if part == "all" else int(part) for part in text.split(",")]


def _shown(shots: int | None) -> str:
    return "all" if shots is None else str(shots)


def _percent(mean: float, std: float | None) -> str:
    return f"{100 * mean:.1f}" + (f" +- {100 * std:4.1f}" if std is not None else "")
