"""Training one adapter from a store: nothing here knows of images or backbones, and no gradient can reach them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike

from udta.adapters import Adapter, AdapterHeader, Recipe, find_adapter, save_adapter
from udta.checkpoint import Checkpoints
from udta.cost import TrainingCost, TrainingMeter, cost_ledger, fixed_cost
from udta.device import resolve_device
from udta.evaluation import evaluate_rows, labelled_rows
from udta.files import local_path, write_json
from udta.fitting import build, training_sources
from udta.loader import FeatureLoader
from udta.locks import one_writer_of
from udta.run_folder import CHECKPOINT, claim, empty, history_writer
from udta.selection import AUTO, Score, Selection, recipe_changes, select
from udta.store import Store, open_store
from udta.trainer import EpochResult, fit


@dataclass(frozen=True)
class RunReport:
    """One trained adapter: `seconds` is the training time with reading, without start-up, evaluation and `selection`.

    `cost` is the ledger of `udta.cost`. When a training was killed and went on, times and bytes are those of all its processes.
    `selection` says why it was this adapter, when that was left to `auto`.
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
        }


@one_writer_of("out")
def train(
    store: str | Path | Store,
    *,
    out: str | Path,
    adapter: str = "udta",
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    split: str = "train",
    rows: ArrayLike | None = None,
    test_split: str = "test",
    device: str = "auto",
    on_epoch: Callable[[EpochResult, int], None] | None = None,
    on_score: Callable[[Score], None] | None = None,
) -> RunReport:
    """Train an adapter on one split, evaluate it on another, and leave a run folder.

    Killed at any moment, the same call goes on from the last checkpoint and leaves the same bytes (but for times). With other
    settings or features it starts anew, and so it does where a run is finished.

    Args:
        store: where the features are.
        out: the run folder: `adapter.safetensors`, `metrics.json`, and `history.csv`, which grows while training goes on.
        adapter: a key of `udta.adapters.ADAPTERS`, or `auto`, which cross-validates some of them on `split` and trains the best.
        options: the adapter's own options.
        recipe: fields of `Recipe` that shall differ from the adapter's default, such as `{"epochs": 20}`.
        seed: of initial weights, order, views and mixup.
        split: rows to train on; those without a label are left out.
        rows: exactly these rows instead of a split.
        test_split: rows to evaluate on; when the store has none of this split, the metrics are left out.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`. On a GPU the features stay in its memory where they fit.
        on_epoch: called after every epoch with its figures and the number of epochs.
        on_score: called after every candidate of `auto`.

    Raises:
        ConfigError: unknown adapter, options, recipe fields or split; every problem is listed.
        AdapterError: `out` holds something else, or training diverged.
        StoreError: the store cannot be read.
        OutputBusyError: another process is writing `out`.
    """
    folder = local_path("out", out)
    opened = store if isinstance(store, Store) else open_store(store)
    place = resolve_device(device)
    chosen, selection = labelled_rows(opened, split, rows), None
    if adapter == AUTO:
        selection = select(
            opened, chosen, options=options or {}, recipe=recipe or {}, seed=seed, device=str(place), on_score=on_score
        )
        adapter, options, recipe = selection.picked, None, recipe_changes(selection.picked, recipe or {})
    settings = find_adapter(adapter).recipe_with(recipe or {})
    model = build(adapter, opened, options or {}, seed)
    loader, every_view = training_sources(model, opened, chosen, settings.batch_size, seed, place)
    run = claim(folder)
    checkpoints = Checkpoints(run / CHECKPOINT, _task(model, loader, settings), loader)
    empty(run)
    meter = TrainingMeter(place, checkpoints.spent.seconds, checkpoints.spent.cpu_seconds)
    with (run / "history.csv").open("x", newline="") as history:
        log = history_writer(history, checkpoints.history, settings.epochs, on_epoch)
        fit(
            model,
            loader,
            recipe=settings,
            every_view=every_view,
            seed=seed,
            device=str(place),
            on_epoch=log,
            checkpoints=checkpoints,
        )
    spent = meter.stop(loader.bytes_read + every_view.loader.bytes_read)
    report = leave_run(
        run,
        model,
        opened,
        settings,
        seed=seed,
        samples=len(chosen),
        spent=spent,
        test_split=test_split,
        selection=selection,
    )
    checkpoints.remove()
    return report


def leave_run(
    run: Path,
    model: Adapter,
    store: Store,
    recipe: Recipe,
    *,
    seed: int,
    samples: int,
    spent: TrainingCost,
    test_split: str = "test",
    selection: Selection | None = None,
) -> RunReport:
    """Evaluate a trained adapter where it is, and write `adapter.safetensors` and `metrics.json` into its run folder."""
    metrics: dict[str, Any] = {}
    if test_split in set(store.splits.tolist()):
        device = str(next(iter(model.state_dict().values())).device)  # a closed form may have buffers alone
        metrics = evaluate_rows(model, store, store.classes, labelled_rows(store, test_split), device)
    report = RunReport(
        run=str(run),
        adapter=model.name,
        parameters=model.n_parameters,
        epochs=recipe.epochs,
        seconds=spent.seconds,
        train_samples=samples,
        metrics=metrics,
        cost=cost_ledger(model, store, spent, epochs=recipe.epochs, samples=samples),
        selection=selection,
    )
    save_adapter(run / "adapter.safetensors", model, _header(model, store, recipe, seed, samples, metrics))
    write_json(run / "metrics.json", report.to_json())
    return report


def _task(adapter: Adapter, loader: FeatureLoader, recipe: Recipe) -> dict[str, Any]:
    """Everything that decides what a training ends in, but for the machine; see `Checkpoints`."""
    store, rows = loader.store, hashlib.sha256()
    for row in loader.rows.tolist():
        rows.update(f"{store.hashes[store.layout.ids[row]]} {row} {store.labels[row]}\n".encode())
    return {
        "adapter": adapter.name,
        "options": adapter.options,
        "recipe": asdict(recipe),
        "seed": loader.seed,
        "fingerprint": store.fingerprint.digest,
        "classes": store.classes,
        "rows": rows.hexdigest(),
        # The order of an epoch that is shuffled in windows depends on their size and on the blocks.
        "windows": [loader.memory_budget, store.layout.block_rows] if loader.windowed else None,
        "device": loader.device.type,
        "versions": {"udta": version("udta"), "torch": torch.__version__},
    }


def _header(
    adapter: Adapter, store: Store, recipe: Recipe, seed: int, samples: int, metrics: Mapping[str, Any]
) -> AdapterHeader:
    return AdapterHeader(
        adapter=adapter.name,
        options=adapter.options,
        taps=tuple(store.taps[tap] for tap in adapter.taps_used),
        classes=store.classes,
        fingerprint=store.fingerprint,
        source=store.source,
        metrics=metrics,
        # Of the cost only what is the same each time: equal trainings give equal files.
        training={
            **asdict(recipe),
            "seed": seed,
            "samples": samples,
            "cost": fixed_cost(adapter),
            "udta": version("udta"),
        },
        probe=store.layout.probe.of(adapter.taps_used),
    )
