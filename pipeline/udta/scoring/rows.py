"""What an adapter says about rows of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike
from torch import Tensor

from udta._console.progress import announce
from udta._machine.cores import side_by_side
from udta.adapters import Adapter
from udta.errors import AdapterError, ConfigError, FeatureError, did_you_mean
from udta.loader import Batch, FeatureLoader
from udta.scoring.metrics import classification_metrics
from udta.store import Store

_BATCH = 64


def evaluate_rows(
    adapter: Adapter, store: Store, classes: tuple[str, ...], rows: np.ndarray, device: str = "cpu"
) -> dict[str, Any]:
    """The metrics on the rows given, whose labels are translated by class name."""
    labels = class_indices(store, classes)[store.labels[rows]]
    return classification_metrics(log_probabilities(adapter, store, rows, device), labels)


def class_indices(store: Store, classes: Sequence[str]) -> Int64[np.ndarray, " store_classes"]:
    """Where each class of a store stands among an adapter's; raises `AdapterError` for one that the adapter does not know."""
    unknown = [name for name in store.classes if name not in classes]
    if unknown:
        raise AdapterError(
            f"{store.path} has {len(unknown)} class(es) that the adapter does not know, such as {unknown[0]!r}: "
            f"{did_you_mean(unknown[0], classes)}"
        )
    return np.array([classes.index(name) for name in store.classes], dtype=np.int64)


def log_probabilities(
    adapter: Adapter,
    store: Store,
    rows: np.ndarray,
    device: str = "cpu",
    views: Literal["all"] | Sequence[int] = "all",
) -> Float[np.ndarray, "rows views classes"]:
    """Of every cached view of every row, or of the views given, float32."""
    return view_logits(adapter, store, rows, device, views).log_softmax(dim=-1).numpy()


def view_logits(
    adapter: Adapter,
    store: Store,
    rows: np.ndarray,
    device: str = "cpu",
    views: Literal["all"] | Sequence[int] = "all",
) -> Float[torch.Tensor, "rows views classes"]:
    """The same before the softmax, on the CPU.

    Raises:
        FeatureError: they are not finite; the images are named, for no figure may be made of such.
    """
    adapter = adapter.to(device).eval()
    loader = FeatureLoader(
        store,
        rows=rows,
        taps=adapter.taps_used,
        batch_size=_BATCH,
        shuffle=False,
        views=views,
        device=device,
        dtype=store.value_dtype,
    )

    def of_batch(batch: Batch) -> Tensor:
        return adapter(batch.flat().taps).unflatten(0, (len(batch), -1)).cpu()  # type: ignore[no-any-return]

    parts, done = [], 0
    with torch.inference_mode():
        for part in side_by_side(of_batch, loader, loader.device):
            parts.append(part)
            done += len(part)
            announce("rows evaluated", done, len(rows))
    logits = torch.cat(parts)
    bad = rows[~torch.isfinite(logits).all(dim=2).all(dim=1).numpy()]
    if len(bad):
        raise FeatureError(
            f"{store.path}: what adapter {adapter.name!r} says of {len(bad)} of {len(rows)} image(s) is not finite, such as"
            f" {str(store.ids[bad[0]])!r}: `udta verify` says whether their features are whole; extract them again, or leave"
            " them out"
        )
    return logits


def test_rows(store: Store, split: str | None) -> Int64[np.ndarray, " rows"] | None:
    """The labelled rows of a split to measure on: by default of `test`, or None where the store has none of that.

    Raises:
        ConfigError: a split was given, and no labelled row is in it.
    """
    if split is None and not ((store.splits == "test") & (store.labels >= 0)).any():
        return None
    return labelled_rows(store, split or "test")


def labelled_rows(store: Store, split: str, rows: ArrayLike | None = None) -> Int64[np.ndarray, " rows"]:
    """The rows of a split whose class is known, or exactly the `rows` given.

    Raises:
        ConfigError: there is none, or one of those given has no label.
        UncommittedRowError, IndexError: as `Store.check_rows`.
    """
    if rows is not None:
        given = store.check_rows(rows)
        if not len(given) or store.labels[given].min() < 0:
            raise ConfigError("rows must be at least one, and all of them must have a label")
        return given
    found: np.ndarray = store.rows(split)
    found = found[store.labels[found] >= 0]
    if not len(found):
        raise ConfigError(f"{store.path} has no labelled row in split {split!r}")
    return found
