"""`udta.evaluate`: a trained adapter on one split of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from udta._console.progress import Progress, watched
from udta._files.atomic import write_json
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import check_table_name, write_table
from udta._machine.device import resolve_device
from udta.adapters import load_adapter
from udta.errors import ConfigError, Problems
from udta.evaluation._tables import confusion_columns
from udta.evaluation.outcome import outcome_of
from udta.labels import with_labels
from udta.scoring import labelled_rows
from udta.store import MULTICLASS, Store


# All three: two evaluations with one file among theirs would leave metrics beside predictions of the other run.
@one_writer_of("out", "predictions", "confusion")
@watched("rows evaluated")
def evaluate(
    run: str | Path,
    store: str | Path | Store,
    *,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str | None = None,
    separator: str | None = None,
    split: str = "test",
    out: str | Path | None = None,
    predictions: str | Path | None = None,
    confusion: str | Path | None = None,
    against: str | Path | None = None,
    parity: int = 0,
    images: str | Path | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> dict[str, Any]:
    """The metrics of an adapter on one split of a store.

    Of classes `n` images, and as fractions of view 0 `top1`, `top5`, `mean_per_class` and `balanced_accuracy` (both: mean of the
    recalls of the classes that occur), `macro_f1` and `ece` (expected calibration error); `top1_views` averages log-probabilities
    over all cached views first; `*_low` and `*_high` are the ends of 95 % bootstrap intervals over images.

    Of several labels, or of numbers, the figures of `udta.tasks.multilabel_metrics` and `regression_metrics`.

    `confusion` has the class names, and the matrix of counts with a row for each true class and a column for each predicted one
    (view 0). `labels` says where labels came from that are not the store's own. `against` and `parity` are there when they were
    asked for. `untrained` is there when the rows have classes that no image was there of in training: their names, and how many
    `images` cannot be right for it.

    Args:
        run: a run folder or an adapter file.
        store: a store with the features that the adapter was trained on, of any images whose classes it knows.
        labels: a file of other labels than the store's own; with `column`, `task` and `separator` as of `udta.with_labels`.
        column: of `labels`.
        task: what the labels are for; by default what the adapter is for.
        separator: of `labels`.
        split: which rows.
        out: a JSON file to write the metrics to as well.
        predictions: a `.csv` or `.parquet` file for a line an image, see `udta.evaluation._tables`.
        confusion: a `.csv` or `.parquet` file for the confusion matrix with class names.
        against: another run, compared on the same images, see `paired_comparison`.
        parity: on how many images to compare the cached features with the backbone, see `udta.parity`.
        images: for `parity`: the folder that ids are relative to; where it was at extraction by default.
        backbone: for `parity`: how the backbone is named; as at extraction by default.
        weights: for `parity`: where its weights are; where they were at extraction by default.
        device: where the adapter runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of the bootstrap and of the choice of images for `parity`.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Returns:
        The figures by name, and tables as lists; what `out` holds too.

    Raises:
        AdapterError: an adapter was trained on other features, or does not know a class of the store.
        ConfigError: no labelled row has this split, labels do not fit, or a table is neither CSV nor Parquet.
        OutputBusyError: another process is writing one of these files.

    Example:
        >>> metrics = udta.evaluate("runs/photos-udta", "photos.zarr")
        >>> metrics["top1_low"] <= metrics["top1"] <= metrics["top1_high"]
        True
    """
    # Before anything is read: a run over a large store must not end in a name that cannot be written.
    _check_files(out=out, predictions=predictions, confusion=confusion)
    device = str(resolve_device(device))
    asked, names = task or MULTICLASS, tuple[str, ...]()
    if labels is not None:
        # Its names too: the images of a file need not show each of them.
        header = load_adapter(Path(run))[1]
        asked = task or header.task
        names = header.classes if asked == header.task else ()
    opened = with_labels(store, labels, column=column, task=asked, separator=separator, classes=names)
    _check_of_classes(opened.task, confusion=confusion, against=against)
    rows = labelled_rows(opened, split)
    found = outcome_of(run, opened, rows, device)
    metrics = found.metrics(seed)
    if opened.label_source:
        metrics["labels"] = dict(opened.label_source)
    if against is not None:
        other = outcome_of(against, opened, rows, device)
        metrics["against"] = {"run": str(against), **found.compared_with(other, seed)}
    if parity:
        # Here, not above: what reads a store alone waits for no import of backbones and decoders.
        from udta.evaluation.parity import parity as compare_live

        report = compare_live(
            run,
            opened,
            samples=parity,
            split=split,
            images=images,
            backbone=backbone,
            weights=weights,
            device=device,
            seed=seed,
        )
        metrics["parity"] = report.to_json()
    if predictions is not None:
        write_table(Path(predictions), found.predictions(opened.ids[rows].tolist()))
    if confusion is not None:
        write_table(Path(confusion), confusion_columns(found.classes, found.confusion))
    # Last, so that who waits for the metrics finds the tables that belong to them.
    if out is not None:
        write_json(Path(out), metrics)
    return metrics


def _check_of_classes(task: str, **asked: Any) -> None:
    """Raises `ConfigError` for all that only labels of one class an image have."""
    given = [what for what, value in asked.items() if value is not None]
    if given and task != MULTICLASS:
        raise ConfigError([f"{what} is of classes, and these labels are {task}: leave it out" for what in given])


def _check_files(**files: str | Path | None) -> None:
    """Raises `ConfigError` for every name that cannot be written to; all but `out` are tables."""
    given = {what: path for what, path in files.items() if path is not None}
    problems = Problems()
    for what, path in given.items():
        problems.collect(local_path, what, path)
    for what, path in given.items():
        if what != "out":
            problems.collect(check_table_name, what, Path(path))
    problems.raise_any()
