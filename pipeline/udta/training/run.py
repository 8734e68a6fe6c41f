"""What a training leaves, and whether that is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from udta._files.atomic import write_json
from udta.adapters import Adapter, AdapterHeader, Recipe, load_adapter, save_adapter
from udta.errors import AdapterError
from udta.fingerprint import Fingerprint
from udta.scoring import evaluate_rows, test_rows
from udta.store import Store
from udta.training.auto import Score, Selection
from udta.training.cost import TrainingCost, cost_ledger, fixed_cost
from udta.training.run_folder import CHECKPOINT

_FIELDS = (
    "adapter",
    "parameters",
    "epochs",
    "train_samples",
    "train_seconds",
    "cost",
    "selection",
    "untrained_classes",
)


@dataclass(frozen=True)
class RunReport:
    """One trained adapter: `seconds` is the training time with reading, without start-up, evaluation and `selection`.

    `metrics` are empty where there was nothing to measure on. `cost` is the ledger of `cost`. When a training was killed and
    went on, times and bytes are those of all its processes. `selection` says why it was this adapter, when that was left to
    `auto`. `untrained` are classes of the store without an image among those trained on: images of them cannot be right.
    `found` says that the run was there already, so that nothing was done.
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
            **({"selection": self.selection.to_json()} if self.selection else {}),
            **({"untrained_classes": list(self.untrained)} if self.untrained else {}),
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
            found=True,
        )


def leave_run(
    run: Path,
    model: Adapter,
    store: Store,
    recipe: Recipe,
    *,
    seed: int,
    rows: np.ndarray,
    spent: TrainingCost,
    test_split: str | None = None,
    selection: Selection | None = None,
    asked: Mapping[str, Any] | None = None,
) -> RunReport:
    """Evaluate a trained adapter where it is, and write `adapter.safetensors` and `metrics.json` into its run folder.

    `rows` are those that it was trained on, `asked` is what `is_finished` compares a later request with.
    """
    metrics: dict[str, Any] = {}
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
        untrained=tuple(np.delete(np.array(store.classes), np.unique(store.labels[rows])).tolist()),
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
            "seed": seed,
            "samples": len(rows),
            "cost": fixed_cost(model),
            "untrained_classes": list(report.untrained),
            "asked": dict(asked or {}),
            "udta": version("udta"),
        },
        probe=store.layout.probe.of(model.taps_used),
    )
    save_adapter(run / "adapter.safetensors", model, header)
    write_json(run / "metrics.json", report.to_json())
    return report


def request(
    adapter: str,
    options: Mapping[str, Any],
    recipe: Mapping[str, Any],
    *,
    seed: int,
    store: Store,
    rows: np.ndarray,
    test_split: str | None,
) -> dict[str, Any]:
    """All that decides what a run holds, as JSON; beside it stand the classes and the fingerprint of its features.

    Not the machine, and no versions: a finished run is not made again because of them.
    """
    measured = test_rows(store, test_split)
    return {
        "adapter": adapter,
        "options": dict(options),
        "recipe": dict(recipe),
        "seed": seed,
        "training images": rows_digest(store, rows),
        "test split": None if measured is None else test_split or "test",
        "test images": None if measured is None else rows_digest(store, measured),
    }


def rows_digest(store: Store, rows: np.ndarray) -> str:
    """SHA-256 of which rows they are, of the contents of their images, and of their labels."""
    digest = hashlib.sha256()
    for row in rows.tolist():
        digest.update(f"{store.hashes[store.layout.ids[row]]} {row} {store.labels[row]}\n".encode())
    return digest.hexdigest()


def finished_run(run: Path, asked: Mapping[str, Any], store: Store) -> RunReport | None:
    """The report of the run that is there, None where none was finished.

    Raises:
        AdapterError: it is another one than is asked; every difference is listed.
    """
    if not (run / "adapter.safetensors").exists() or not (run / "metrics.json").exists():
        return None
    advice = "it was left as it is: choose another --out, or give --overwrite to train anew in its place"
    try:
        header = load_adapter(run)[1]
        report = RunReport.from_json(run, json.loads((run / "metrics.json").read_text()))
    except (AdapterError, OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{run} holds a run that cannot be read ({error}); {advice}") from error
    there = header.training.get("asked") or {"adapter": header.adapter, "trained by": "a sweep, or an earlier version"}
    differences = _with_features(there, header.classes, header.fingerprint).diff(
        _with_features(asked, store.classes, store.fingerprint), "there"
    )
    if differences:
        raise AdapterError(
            "\n".join([f"{run} holds another finished run; {advice}:", *(f"  {line}" for line in differences)])
        )
    # The same one, but killed before its last step, or changed since: trained again it becomes what it was.
    whole = (run / "history.csv").exists() and not (run / CHECKPOINT).exists()
    return report if whole and report.metrics == header.metrics else None


def _with_features(asked: Mapping[str, Any], classes: tuple[str, ...], fingerprint: Fingerprint) -> Fingerprint:
    return Fingerprint({**json.loads(json.dumps(asked)), "classes": list(classes), "features": fingerprint.fields})
