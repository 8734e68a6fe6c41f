"""Training one adapter from a store: nothing here knows of images or backbones, and no gradient can reach them."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch
from numpy.typing import ArrayLike

from udta.adapters import Adapter, AdapterHeader, Recipe, find_adapter, save_adapter
from udta.errors import AdapterError
from udta.evaluation import evaluate_rows, labelled_rows
from udta.files import write_json
from udta.loader import FeatureLoader
from udta.store import Store, open_store
from udta.trainer import EpochResult, fit

RUN_FILES = ("adapter.safetensors", "metrics.json", "history.csv")


@dataclass(frozen=True)
class RunReport:
    """One trained adapter: `seconds` is the training time with reading, without start-up and evaluation."""

    run: str
    adapter: str
    parameters: int
    epochs: int
    seconds: float
    train_samples: int
    metrics: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What `metrics.json` holds: the metrics of the test split first, then what the training was."""
        return {
            **self.metrics,
            "adapter": self.adapter,
            "parameters": self.parameters,
            "epochs": self.epochs,
            "train_samples": self.train_samples,
            "train_seconds": round(self.seconds, 3),
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
    rows: ArrayLike | None = None,
    test_split: str = "test",
    device: str = "cpu",
    on_epoch: Callable[[EpochResult, int], None] | None = None,
) -> RunReport:
    """Train an adapter on one split, evaluate it on another, and leave a run folder.

    Args:
        store: where the features are.
        out: the run folder: `adapter.safetensors`, `metrics.json`, and `history.csv`, which grows while training goes on.
        adapter: `udta`, `linear`, `concat_linear`.
        options: the adapter's own options.
        recipe: fields of `Recipe` that shall differ from the adapter's default, such as `{"epochs": 20}`.
        seed: of initial weights, order, views and mixup.
        split: rows to train on; those without a label are left out.
        rows: exactly these rows instead of a split.
        test_split: rows to evaluate on; when the store has none of this split, the metrics are left out.
        device: where to train.
        on_epoch: called after every epoch with its figures and the number of epochs.

    Raises:
        ConfigError: unknown adapter, options, recipe fields or split; every problem is listed.
        AdapterError: `out` holds something else, or training diverged.
        StoreError: the store cannot be read.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    settings = override(find_adapter(adapter).recipe, recipe or {})
    chosen = labelled_rows(opened, split, rows)
    model = build(adapter, opened, options or {}, seed)
    run = _prepare(Path(out))
    loader = FeatureLoader(
        opened,
        rows=chosen,
        taps=model.taps_used,
        batch_size=settings.batch_size,
        seed=seed,
        device=device,
        dtype=opened.value_dtype,
    )
    started = time.perf_counter()
    with (run / "history.csv").open("w", newline="") as history:
        log = _logger(history, settings.epochs, on_epoch)
        fit(model, loader, recipe=settings, seed=seed, device=device, on_epoch=log)
    seconds = time.perf_counter() - started
    metrics: dict[str, Any] = {}
    if test_split in set(opened.splits.tolist()):
        metrics = evaluate_rows(model, opened, opened.classes, labelled_rows(opened, test_split), device)
    report = RunReport(str(run), adapter, model.n_parameters, settings.epochs, seconds, len(chosen), metrics)
    save_adapter(run / "adapter.safetensors", model, _header(model, opened, settings, seed, len(chosen), metrics))
    write_json(run / "metrics.json", report.to_json())
    return report


def build(adapter: str, store: Store, options: Mapping[str, Any], seed: int) -> Adapter:
    """A new adapter for the taps and classes of a store; its initial weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shapes = {tap.name: tap.shape for tap in store.taps.values()}
        return find_adapter(adapter)(shapes, len(store.classes), **options)


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with some fields replaced. Raises `ConfigError` listing every unknown field or impossible value."""
    return recipe.override(changes)


def _prepare(run: Path) -> Path:
    """An existing run is trained anew; anything else at this path is left alone."""
    if run.exists() and not (run.is_dir() and {file.name for file in run.iterdir()} <= set(RUN_FILES)):
        raise AdapterError(f"{run} exists and is not a run folder; it was left as it is, choose another --out")
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    return run


def _logger(
    history: TextIO, epochs: int, on_epoch: Callable[[EpochResult, int], None] | None
) -> Callable[[EpochResult], None]:
    writer = csv.writer(history)
    writer.writerow([field.name for field in fields(EpochResult)])

    def log(result: EpochResult) -> None:
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in asdict(result).values()])
        history.flush()
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
        training={**asdict(recipe), "seed": seed, "samples": samples, "udta": version("udta")},
    )
