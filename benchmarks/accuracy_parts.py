"""What the accuracy benchmark measures on one set under one backbone: an adapter, or one of `CHECKS`.

- `regression`: the rival of `benchmarks.regression` on each input that the last module offers, and on view 0 alone.
- `auto`: what `udta train --adapter auto` picks with seed 0. Its accuracy is that of the five seeds of what it picked.
- `by_hand`: `udta` on the taps that were found by hand instead of those that extraction takes by default.
- `parity`: whether the live backbone gives the top-1 that stored features give, on all test images.
- `uint8`: `udta` on 8-bit codes, on two sets.

Times are the processor's, of all threads, since other programs may run.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sklearn
import torch

import udta
from benchmarks.real import Frozen
from benchmarks.regression import best_of, read, regression
from benchmarks.store_checks import as_uint8, with_taps
from udta._files.atomic import write_json
from udta.adapters import load_adapter
from udta.store import row_bytes

DEFAULT, BY_HAND = "default", "by_hand"
CHECKS = ("regression", BY_HAND, "parity", "uint8")
UINT8_SETS = ("flowers", "food")
_EVERY = 10**9  # images


@dataclass(frozen=True)
class Place:
    """One set under one backbone, and where its stores and runs are."""

    frozen: Frozen
    name: str
    real: Path
    work: Path
    stores: Path | None
    views: int
    seeds: int

    @property
    def configuration(self) -> dict[str, Any]:
        """Results with another one are not comparable."""
        return {"factory": self.frozen.factory, "views": self.views, "seeds": self.seeds}

    @property
    def runs(self) -> Path:
        """A folder for each adapter."""
        return self.work / "runs" / self.frozen.name / self.name

    @cached_property
    def default(self) -> udta.Store:
        """Extracted without saying which taps."""
        return self._store(DEFAULT)

    @cached_property
    def by_hand(self) -> udta.Store:
        """Extracted with the taps found by hand and what the regression reads."""
        return self._store(BY_HAND)

    def features(self, part: str) -> str:
        """Which features a part is measured on."""
        store = self.by_hand if part in (BY_HAND, "regression") else self.default
        return store.fingerprint.digest

    def facts(self) -> dict[str, Any]:
        """Of the set, the stores that were opened, and the versions."""
        store = self.__dict__.get(DEFAULT) or self.by_hand
        return {
            "train": len(store.rows("train")),
            "n": len(store.rows("test")),
            "classes": len(store.classes),
            "taps": {kind: _taps(self.__dict__[kind]) for kind in (DEFAULT, BY_HAND) if kind in self.__dict__},
            "extraction": {kind: took for kind in (DEFAULT, BY_HAND) if (took := self._took(kind))},
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "scikit-learn": sklearn.__version__,
            },
        }

    def _store(self, kind: str) -> udta.Store:
        """One that is there, or made; what making it took is kept beside it, and one without that is made anew."""
        given = self.stores and self.stores / kind / self.frozen.name / self.name
        if given and given.exists():
            return udta.open_store(given)
        out = self.work / kind / self.frozen.name / self.name
        if self._took(kind) is None:
            shutil.rmtree(out, ignore_errors=True)
            write_json(self._ledger(kind), self._extract(out, self.frozen.taps if kind == BY_HAND else None))
        return udta.open_store(out)

    def _ledger(self, kind: str) -> Path:
        return self.work / kind / self.frozen.name / f"{self.name}.json"

    def _took(self, kind: str) -> dict[str, Any] | None:
        ledger = self._ledger(kind)
        return json.loads(ledger.read_text()) if ledger.exists() else None

    def _extract(self, out: Path, taps: str | None) -> dict[str, Any]:
        images = self.real / "real" / self.name
        splits = images / "SPLITS.csv"
        wall, cpu = time.perf_counter(), time.process_time()
        report = udta.extract(
            images,
            backbone=self.frozen.factory,
            weights=str(self.frozen.weights(self.real)),
            views=self.views,
            splits=splits if splits.exists() else None,
            out=out,
            **({"taps": taps} if taps else {}),  # type: ignore[arg-type]
        )
        return {
            "cpu_seconds": time.process_time() - cpu,
            "wall_seconds": time.perf_counter() - wall,
            "images": report.rows,
            "bytes": report.bytes,
            "compute": report.compute,
        }


def measure(place: Place, part: str) -> dict[str, Any]:
    """One part."""
    if part in _OTHERS:
        return _OTHERS[part](place)
    return trained(place.default, part, place.seeds, place.runs / part)


def trained(store: udta.Store, name: str, seeds: int, runs: Path) -> dict[str, Any]:
    """What `udta train` measures for every seed; the time is that of seed 0, with reading and without start-up.

    The other seeds are a sweep: every run of one has the accuracies of a single training (docs/sweep.md), in less time.
    """
    shutil.rmtree(runs, ignore_errors=True)  # the code may be another one than that of a run which is there
    first = udta.train(store, out=runs / "0", adapter=name, seed=0)
    metrics = [first.metrics]
    if seeds > 1:
        entry = {"adapter": name, "seeds": list(range(1, seeds))}
        udta.sweep(store, adapters={"adapters": {name: entry}}, out=runs / "sweep", validation=0)
        metrics += [json.loads(file.read_text()) for file in sorted((runs / "sweep" / "runs").glob("*/metrics.json"))]
    adapter, _ = load_adapter(runs / "0")
    return {
        **{key: [each[key] for each in metrics] for key in ("top1", "top1_views", "mean_per_class")},
        "cpu_seconds": first.cost["train_cpu_seconds"],
        "parameters": first.parameters,
        "bytes_per_view": _bytes(store, adapter.taps_used),
        "taps": list(adapter.taps_used),
    }


def _by_hand(place: Place) -> dict[str, Any]:
    return trained(with_taps(place.by_hand, place.frozen.by_hand), "udta", place.seeds, place.runs / BY_HAND)


def _uint8(place: Place) -> dict[str, Any]:
    store = as_uint8(place.default, place.work / "uint8" / place.frozen.name / place.name)
    return trained(store, "udta", place.seeds, place.runs / "uint8")


def _auto(place: Place) -> dict[str, Any]:
    run, cpu = place.runs / "auto", time.process_time()
    shutil.rmtree(run, ignore_errors=True)
    report = udta.train(place.default, out=run, adapter="auto", seed=0)
    assert report.selection is not None
    return {**report.selection.to_json(), "cpu_seconds": time.process_time() - cpu}


def _parity(place: Place) -> dict[str, Any]:
    # Finds the run of seed 0, or trains it.
    udta.train(place.default, out=place.runs / "udta" / "0", adapter="udta", seed=0)
    images = place.real / "real" / place.name
    backbone = place.frozen.build(place.real)
    report = udta.parity(place.runs / "udta" / "0", place.default, samples=_EVERY, images=images, backbone=backbone)
    return {"images": report.images, "same_top1": report.same_top1, "rms": report.rms, "spread": report.spread}


def _regression(place: Place) -> dict[str, Any]:
    train, test = (read(place.by_hand, place.frozen.last, split, place.frozen.prefix) for split in ("train", "test"))
    width = {name: each.vectors.shape[2] for name, each in train.items()}
    # Two bytes a number, as the other taps are stored.
    inputs = {name: {**regression(train[name], test[name]), "bytes_per_view": 2 * width[name]} for name in train}
    view0 = {name: regression(each.views(1), test[name]) for name, each in train.items()}
    return {**best_of(inputs), "inputs": inputs, "view0": {**best_of(view0), "inputs": view0}}


def _bytes(store: udta.Store, taps: tuple[str, ...]) -> int:
    """Of one view of one image, as stored."""
    return sum(row_bytes(store.taps[tap]) for tap in taps)


def _taps(store: udta.Store) -> dict[str, str]:
    return {name: spec.reducer for name, spec in store.taps.items()}


_OTHERS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "auto": _auto,
    "regression": _regression,
    BY_HAND: _by_hand,
    "parity": _parity,
    "uint8": _uint8,
}
