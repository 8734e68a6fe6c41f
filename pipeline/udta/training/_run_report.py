"""What a training leaves in its run folder: the adapter's file and `metrics.json`, and how to read the latter again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from udta._files.atomic import write_json
from udta.adapters import AdapterHeader, save_adapter
from udta.scoring import evaluate_rows, test_rows
from udta.training._auto import Score, Selection
from udta.training._imbalance import prior_of
from udta.training.cost import TrainingCost, cost_ledger, fixed_cost
from udta.training.sources import Training

# Of `metrics.json`, what is no metric.
_FIELDS = (
    "adapter",
    "parameters",
    "epochs",
    "train_samples",
    "train_seconds",
    "cost",
    "selection",
    "untrained_classes",
    "labels",
    "prior",
    "store",
)


@dataclass(frozen=True)
class RunReport:
    """One trained adapter: `seconds` is the training time with reading, without start-up, evaluation and `selection`.

    `metrics` are empty where there was nothing to measure on. `cost` is the ledger of `cost`. When a training was killed and
    went on, times and bytes are those of all its processes. `selection` says why it was this adapter, when that was left to
    `auto`. `untrained` are classes of the store without an image among those trained on: images of them cannot be right.
    `labels` says which file they were of, and which images it lacked or had too many; it is empty for the store's own.
    `prior` is which shares of classes its probabilities are for: those of the `training` rows, `uniform` or `weighted` ones.
    `store` is where the features were, a hint for who wants to look at them beside the run. `found` says that the run was there
    already, so that nothing was done.
    """

    run: str
    adapter: str
    parameters: int
    epochs: int
    seconds: float
    train_samples: int
    metrics: Mapping[str, Any]
    cost: Mapping[str, Any]
    selection: Selection | None = None
    untrained: tuple[str, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)
    prior: str = "training"
    store: str = ""
    found: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `metrics.json` holds: the metrics of the test split first, then what the training was."""
        return {
            **self.metrics,
            "adapter": self.adapter,
            "parameters": self.parameters,
            "epochs": self.epochs,
            "train_samples": self.train_samples,
            "train_seconds": round(self.seconds, 3),
            "cost": dict(self.cost),
            "prior": self.prior,
            **({"store": self.store} if self.store else {}),
            **({"selection": self.selection.to_json()} if self.selection else {}),
            **({"untrained_classes": list(self.untrained)} if self.untrained else {}),
            **({"labels": dict(self.labels)} if self.labels else {}),
        }

    @classmethod
    def from_json(cls, run: Path, document: Mapping[str, Any]) -> RunReport:
        """The inverse of `to_json`, of a run that was found."""
        chosen = document.get("selection")
        return cls(
            str(run),
            document["adapter"],
            document["parameters"],
            document["epochs"],
            document["train_seconds"],
            document["train_samples"],
            {name: value for name, value in document.items() if name not in _FIELDS},
            document["cost"],
            chosen
            and Selection(chosen["picked"], chosen["folds"], tuple(Score.from_json(row) for row in chosen["table"])),
            tuple(document.get("untrained_classes", ())),
            document.get("labels", {}),
            document["prior"],
            document.get("store", ""),
            found=True,
        )


def leave_run(
    run: Path,
    training: Training,
    spent: TrainingCost,
    *,
    test_split: str | None = None,
    selection: Selection | None = None,
    asked: Mapping[str, Any] | None = None,
) -> RunReport:
    """Evaluate a trained adapter where it is, and write `adapter.safetensors` and `metrics.json` into its run folder.

    Args:
        run: the folder.
        training: what was trained, and on which rows.
        spent: what it took.
        test_split: the rows to evaluate on, `test` by default; without a labelled one there are no metrics.
        selection: why it was this adapter.
        asked: what `finished_run` compares a later request with.
    """
    model, store, rows, recipe = training.adapter, training.store, training.rows, training.recipe
    metrics: dict[str, Any] = {}  # without labelled rows nothing is measured, and nothing is made up
    measured = test_rows(store, test_split)
    if measured is not None:
        device = str(next(iter(model.state_dict().values())).device)  # a closed form may have buffers alone
        metrics = evaluate_rows(model, store, store.classes, measured, device)
    report = RunReport(
        run=str(run),
        adapter=model.name,
        parameters=model.n_parameters,
        epochs=recipe.epochs,
        seconds=spent.seconds,
        train_samples=len(rows),
        metrics=metrics,
        cost=cost_ledger(model, store, spent, epochs=recipe.epochs, samples=len(rows)),
        selection=selection,
        prior=prior_of(recipe),
        store=str(store.path),
        untrained=tuple(np.array(store.classes)[model.task.unseen(store.labels[rows], len(store.classes))].tolist()),
        labels=store.label_source,
    )
    header = AdapterHeader(
        adapter=model.name,
        options=model.options,
        taps=tuple(store.taps[tap] for tap in model.taps_used),
        classes=store.classes,
        fingerprint=store.fingerprint,
        source=store.source,
        metrics=metrics,
        # Of the cost only what is the same each time: equal trainings give equal files.
        training={
            **asdict(recipe),
            "seed": training.seed,
            "samples": len(rows),
            "cost": fixed_cost(model),
            "untrained_classes": list(report.untrained),
            "labels": dict(report.labels),
            "prior": report.prior,
            "asked": dict(asked or {}),
            "udta": version("udta"),
        },
        probe=store.layout.probe.of(model.taps_used),
        task=model.task.name,
    )
    # `metrics.json` last: where both are there, the run is finished.
    save_adapter(run / "adapter.safetensors", model, header)
    write_json(run / "metrics.json", report.to_json())
    return report
