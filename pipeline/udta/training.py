"""Training one adapter from a store: nothing here knows of images or backbones, and no gradient can reach them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch

from udta.adapters import Adapter, AdapterHeader, Recipe, find_adapter, save_adapter
from udta.checkpoint import Checkpoints
from udta.cost import Meter, cost_ledger, fixed_cost
from udta.device import own_randomness, resolve_device
from udta.errors import AdapterError
from udta.evaluation import evaluate_rows, labelled_rows
from udta.files import write_json
from udta.loader import FeatureLoader
from udta.store import Store, open_store
from udta.trainer import EpochResult, fit

RUN_FILES = ("adapter.safetensors", "metrics.json", "history.csv")
CHECKPOINT = "checkpoint.safetensors"  # there until the run is complete


@dataclass(frozen=True)
class RunReport:
    """One trained adapter: `seconds` is the training time with reading, without start-up and evaluation.

    `cost` is the ledger of `udta.cost`. When a training was killed and went on, times and bytes are those of all its processes.
    """

    run: str
    adapter: str
    parameters: int
    epochs: int
    seconds: float
    train_samples: int
    metrics: Mapping[str, Any]
    cost: Mapping[str, Any]

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
        }


def train(
    store: str | Path | Store,
    *,
    out: str | Path,
    adapter: str = "udta",
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    split: str = "train",
    test_split: str = "test",
    device: str = "auto",
    on_epoch: Callable[[EpochResult, int], None] | None = None,
) -> RunReport:
    """Train an adapter on one split, evaluate it on another, and leave a run folder.

    Killed at any moment, the same call goes on from the last checkpoint and leaves the same bytes (but for times). With other
    settings or features it starts anew, and so it does where a run is finished.

    Args:
        store: where the features are.
        out: the run folder: `adapter.safetensors`, `metrics.json`, and `history.csv`, which grows while training goes on.
        adapter: `udta`, `linear`, `concat_linear`.
        options: the adapter's own options.
        recipe: fields of `Recipe` that shall differ from the adapter's default, such as `{"epochs": 20}`.
        seed: of initial weights, order, views and mixup.
        split: rows to train on; those without a label are left out.
        test_split: rows to evaluate on; when the store has none of this split, the metrics are left out.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`. On a GPU the features stay in its memory where they fit.
        on_epoch: called after every epoch with its figures and the number of epochs.

    Raises:
        ConfigError: unknown adapter, options, recipe fields or split; every problem is listed.
        AdapterError: `out` holds something else, or training diverged.
        StoreError: the store cannot be read.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    settings = override(find_adapter(adapter).recipe, recipe or {})
    rows = labelled_rows(opened, split)
    model = build(adapter, opened, options or {}, seed)
    place = resolve_device(device)
    loader = FeatureLoader(
        opened,
        rows=rows,
        taps=model.taps_used,
        batch_size=settings.batch_size,
        seed=seed,
        device=place,
        dtype=opened.value_dtype,
        resident="auto",
    )
    run = _claim(Path(out))
    checkpoints = Checkpoints(run / CHECKPOINT, _task(model, loader, settings, place), loader)
    _empty(run)
    meter = Meter(place, checkpoints.spent.seconds, checkpoints.spent.cpu_seconds)
    with (run / "history.csv").open("w", newline="") as history:
        log = _logger(history, checkpoints.history, settings.epochs, on_epoch)
        fit(model, loader, recipe=settings, seed=seed, device=str(place), on_epoch=log, checkpoints=checkpoints)
    spent = meter.stop(loader.bytes_read)
    metrics: dict[str, Any] = {}
    if test_split in set(opened.splits.tolist()):
        metrics = evaluate_rows(model, opened, opened.classes, labelled_rows(opened, test_split), str(place))
    cost = cost_ledger(model, opened, spent, epochs=settings.epochs, samples=len(rows))
    report = RunReport(str(run), adapter, model.n_parameters, settings.epochs, spent.seconds, len(rows), metrics, cost)
    save_adapter(run / "adapter.safetensors", model, _header(model, opened, settings, seed, len(rows), metrics))
    write_json(run / "metrics.json", report.to_json())
    checkpoints.remove()
    return report


def build(adapter: str, store: Store, options: Mapping[str, Any], seed: int) -> Adapter:
    """A new adapter for the taps and classes of a store; its initial weights depend on `seed` alone."""
    with own_randomness(seed):
        shapes = {tap.name: tap.shape for tap in store.taps.values()}
        return find_adapter(adapter)(shapes, len(store.classes), **options)


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with some fields replaced. Raises `ConfigError` listing every unknown field or impossible value."""
    return recipe.override(changes)


def _claim(run: Path) -> Path:
    """A folder for a run. Anything else at this path is left alone."""
    if run.exists() and not (run.is_dir() and all(_is_ours(file.name) for file in run.iterdir())):
        raise AdapterError(f"{run} exists and is not a run folder; it was left as it is, choose another --out")
    run.mkdir(parents=True, exist_ok=True)
    return run


def _is_ours(name: str) -> bool:
    """A file of a run, or what a killed process left of one (`files.write_bytes`)."""
    names = (*RUN_FILES, CHECKPOINT)
    return name in names or (name.endswith(".partial") and name.startswith(tuple(f".{known}." for known in names)))


def _empty(run: Path) -> None:
    """An existing run is trained anew; its checkpoint has been looked at, and is replaced by the next one."""
    for file in run.iterdir():
        if file.name != CHECKPOINT:
            file.unlink()


def _task(adapter: Adapter, loader: FeatureLoader, recipe: Recipe, device: torch.device) -> dict[str, Any]:
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
        "device": device.type,
        "versions": {"udta": version("udta"), "torch": torch.__version__},
    }


def _logger(
    history: TextIO,
    earlier: list[dict[str, Any]],
    epochs: int,
    on_epoch: Callable[[EpochResult, int], None] | None,
) -> Callable[[EpochResult], None]:
    """Writes a line an epoch, after those of `earlier`, to which it adds."""
    writer = csv.DictWriter(history, [field.name for field in fields(EpochResult)])
    writer.writeheader()

    def write(line: Mapping[str, Any]) -> None:
        writer.writerow({name: f"{v:.6g}" if isinstance(v, float) else v for name, v in line.items()})
        history.flush()

    for line in earlier:
        write(line)

    def log(result: EpochResult) -> None:
        earlier.append(asdict(result))
        write(earlier[-1])
        if on_epoch:
            on_epoch(result, epochs)

    return log


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
    )
