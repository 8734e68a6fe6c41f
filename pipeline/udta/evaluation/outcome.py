"""What one run says about some rows, and what is made of it: figures, tables, a comparison with another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Num

from udta.adapters import AdapterHeader, load_adapter
from udta.errors import AdapterError
from udta.evaluation._comparison import paired_comparison
from udta.evaluation._tables import label_columns, number_columns, prediction_columns
from udta.scoring import labels_among, view_answers
from udta.store import Store
from udta.tasks import Task
from udta.tasks.classification_metrics import confusion_matrix


@dataclass(frozen=True)
class Outcome:
    """What an adapter says of rows by view, and their labels as it knows them: in the order of `classes`.

    `untrained` are those of the classes of the rows that no image was there of when it was trained; `thresholds` are those of
    several labels.
    """

    task: Task
    classes: tuple[str, ...]
    answers: Float[np.ndarray, "rows views classes"]
    labels: Num[np.ndarray, "rows ..."]
    untrained: tuple[str, ...]
    thresholds: Float[np.ndarray, " classes"] | None = None

    @property
    def confusion(self) -> Int[np.ndarray, "true predicted"]:
        """Counts by class, of view 0, as `top1` is: their diagonal over their sum is that figure."""
        return confusion_matrix(self.answers[:, 0].argmax(axis=1), self.labels, len(self.classes))

    def metrics(self, seed: int) -> dict[str, Any]:
        """Those of the task; of classes the confusion matrix too, and which images cannot be right."""
        metrics = self.task.metrics(self.answers, self.labels, self.classes, self.thresholds, seed)
        if self.task.exclusive:
            if self.untrained:
                # An adapter cannot name a class that it never saw: without a word the accuracy would seem to be its fault.
                concerned = np.isin(self.labels, [self.classes.index(name) for name in self.untrained])
                metrics["untrained"] = {"classes": list(self.untrained), "images": int(concerned.sum())}
            metrics["confusion"] = {"classes": list(self.classes), "matrix": self.confusion.tolist()}
        return metrics

    def predictions(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        """A line an image, see `_tables`."""
        if self.task.exclusive:
            return prediction_columns(ids, self.classes, self.answers, self.labels)
        if self.thresholds is None:
            return number_columns(ids, self.classes, self.answers, self.labels)
        return label_columns(ids, self.classes, self.answers, self.labels, self.thresholds)

    def compared_with(self, other: Outcome, seed: int) -> dict[str, Any]:
        """`paired_comparison` with another run on the same rows."""
        return paired_comparison(self.answers, self.labels, other.answers, other.labels, seed)


def outcome_of(
    run: str | Path, store: Store, rows: np.ndarray, device: str, views: Literal["all"] | Sequence[int] = "all"
) -> Outcome:
    """Let a run judge the rows in all of their views, or in those given.

    Raises:
        AdapterError: it was trained on other features than the store's, for another task, or for other labels.
    """
    adapter, header = load_adapter(Path(run))
    name = f"store {str(store.path)!r}"
    header.check(store.fingerprint, name)
    # The fingerprint knows the backbone by its weights and names; what its code computes shows in the probe alone.
    header.check_code(store.layout.probe, name)
    _check_label_file(run, header, store)
    # By name: the store may be of other images than the adapter's, with its classes in another order.
    labels = labels_among(store, adapter.task, header.classes, rows)
    unseen = adapter.task.unseen(labels, len(header.classes))
    occurring = {name for name, absent in zip(header.classes, unseen.tolist(), strict=True) if not absent}
    untrained = tuple(name for name in header.training.get("untrained_classes", ()) if name in occurring)
    answers = view_answers(adapter, store, rows, device, views)
    return Outcome(adapter.task, header.classes, answers, labels, untrained, adapter.thresholds)


def _check_label_file(run: str | Path, header: AdapterHeader, store: Store) -> None:
    """Raises `AdapterError` where a run learned the labels of a file, and is measured by those of the store instead."""
    source = header.training.get("labels")  # for people, so that it may be anything in a file of a stranger
    if isinstance(source, Mapping) and source and not store.label_source and set(store.classes) - set(header.classes):
        raise AdapterError(
            f"{run} was trained on the labels of {source.get('file')!r}, and {store.path} has others: give the file by --labels"
        )
