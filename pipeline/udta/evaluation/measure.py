"""`udta.evaluate`: a trained adapter on one split of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int64

from udta._files.atomic import write_json
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import check_table_name, write_table
from udta._machine.device import resolve_device
from udta.adapters import AdapterHeader, load_adapter
from udta.errors import AdapterError, Problems
from udta.evaluation._comparison import paired_comparison
from udta.evaluation._tables import confusion_columns, prediction_columns
from udta.labels import with_labels
from udta.scoring import class_indices, labelled_rows, log_probabilities
from udta.store import MULTICLASS, Store
from udta.tasks.classification_metrics import classification_metrics, confusion_matrix


# All three: two evaluations with one file among theirs would leave metrics beside predictions of the other run.
@one_writer_of("out", "predictions", "confusion")
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
) -> dict[str, Any]:
    """The metrics of an adapter on one split of a store.

    `n` images, and as fractions of view 0 `top1`, `top5`, `mean_per_class` and `balanced_accuracy` (both: mean of the recalls of
    the classes that occur), `macro_f1` and `ece` (expected calibration error); `top1_views` averages log-probabilities over all
    cached views first; `*_low` and `*_high` are the ends of 95 % bootstrap intervals over images.

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
        predictions: a `.csv` or `.parquet` file for a line an image, see `prediction_columns`.
        confusion: a `.csv` or `.parquet` file for the confusion matrix with class names.
        against: another run, compared on the same images, see `paired_comparison`.
        parity: on how many images to compare the cached features with the backbone, see `udta.parity`.
        images: for `parity`: the folder that ids are relative to; where it was at extraction by default.
        backbone: for `parity`: how the backbone is named; as at extraction by default.
        weights: for `parity`: where its weights are; where they were at extraction by default.
        device: where the adapter runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of the bootstrap and of the choice of images for `parity`.

    Raises:
        AdapterError: an adapter was trained on other features, or does not know a class of the store.
        ConfigError: no labelled row has this split, labels do not fit, or a table is neither CSV nor Parquet.
        OutputBusyError: another process is writing one of these files.
    """
    # Before anything is read: a run over a large store must not end in a name that cannot be written.
    _check_files(out=out, predictions=predictions, confusion=confusion)
    device = str(resolve_device(device))
    opened = with_labels(store, labels, column=column, task=task or MULTICLASS, separator=separator)
    rows = labelled_rows(opened, split)
    found = _outcome(run, opened, rows, device)
    metrics = found.metrics(seed)
    if opened.label_source:
        metrics["labels"] = dict(opened.label_source)
    if against is not None:
        metrics["against"] = {"run": str(against), **found.compared_with(_outcome(against, opened, rows, device), seed)}
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
        columns = prediction_columns(opened.ids[rows].tolist(), found.classes, found.log_probabilities, found.labels)
        write_table(Path(predictions), columns)
    if confusion is not None:
        write_table(Path(confusion), confusion_columns(found.classes, found.confusion))
    # Last, so that who waits for the metrics finds the tables that belong to them.
    if out is not None:
        write_json(Path(out), metrics)
    return metrics


@dataclass(frozen=True)
class Outcome:
    """What one run says about some rows; `labels` are indices into `classes`, as the last axis is.

    `untrained` are those of the classes of the rows that no image was there of when it was trained.
    """

    classes: tuple[str, ...]
    log_probabilities: Float[np.ndarray, "rows views classes"]
    labels: Int64[np.ndarray, " rows"]
    untrained: tuple[str, ...]

    @property
    def confusion(self) -> Int[np.ndarray, "true predicted"]:
        """Counts by class, of view 0, as `top1` is: their diagonal over their sum is that figure."""
        return confusion_matrix(self.log_probabilities[:, 0].argmax(axis=1), self.labels, len(self.classes))

    def metrics(self, seed: int) -> dict[str, Any]:
        """`classification_metrics`, the confusion matrix, and which images cannot be right."""
        metrics = classification_metrics(self.log_probabilities, self.labels, seed)
        if self.untrained:
            # An adapter cannot name a class that it never saw: without a word the accuracy would seem to be its fault.
            concerned = np.isin(self.labels, [self.classes.index(name) for name in self.untrained])
            metrics["untrained"] = {"classes": list(self.untrained), "images": int(concerned.sum())}
        metrics["confusion"] = {"classes": list(self.classes), "matrix": self.confusion.tolist()}
        return metrics

    def compared_with(self, other: Outcome, seed: int) -> dict[str, Any]:
        """`paired_comparison` with another run on the same rows."""
        return paired_comparison(self.log_probabilities, self.labels, other.log_probabilities, other.labels, seed)


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


def _outcome(run: str | Path, store: Store, rows: np.ndarray, device: str) -> Outcome:
    """Let a run judge the rows; raises `AdapterError` when it was trained on other features than the store's."""
    adapter, header = load_adapter(Path(run))
    name = f"store {str(store.path)!r}"
    header.check(store.fingerprint, name)
    # The fingerprint knows the backbone by its weights and names; what its code computes shows in the probe alone.
    header.check_code(store.layout.probe, name)
    _check_label_file(run, header, store)
    # By name: the store may be of other images than the adapter's, with its classes in another order.
    labels = class_indices(store, header.classes)[store.labels[rows]]
    occurring = {header.classes[label] for label in np.unique(labels)}
    untrained = tuple(name for name in header.training.get("untrained_classes", ()) if name in occurring)
    return Outcome(header.classes, log_probabilities(adapter, store, rows, device), labels, untrained)


def _check_label_file(run: str | Path, header: AdapterHeader, store: Store) -> None:
    """Raises `AdapterError` where a run learned the labels of a file, and is measured by those of the store instead."""
    source = header.training.get("labels")  # for people, so that it may be anything in a file of a stranger
    if isinstance(source, Mapping) and source and not store.label_source and set(store.classes) - set(header.classes):
        raise AdapterError(
            f"{run} was trained on the labels of {source.get('file')!r}, and {store.path} has others: give the file by --labels"
        )
