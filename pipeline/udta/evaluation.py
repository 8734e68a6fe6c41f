"""Evaluating a trained adapter on a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from udta.adapters import Adapter, load_adapter
from udta.device import resolve_device
from udta.errors import AdapterError, ConfigError, did_you_mean
from udta.files import write_json
from udta.loader import FeatureLoader
from udta.metrics import classification_metrics
from udta.store import Store, open_store

_BATCH = 64


def evaluate(
    run: str | Path,
    store: str | Path | Store,
    *,
    split: str = "test",
    out: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """The metrics of an adapter on one split of a store; see `classification_metrics` for their meaning.

    Args:
        run: a run folder or an adapter file.
        store: a store with the features that the adapter was trained on, of any images whose classes it knows.
        split: which rows.
        out: a JSON file to write them to as well.
        device: where the adapter runs: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        AdapterError: the adapter was trained on other features, or does not know a class of the store.
        ConfigError: no labelled row has this split.
    """
    adapter, header = load_adapter(Path(run))
    opened = store if isinstance(store, Store) else open_store(store)
    header.check(opened.fingerprint, f"store {str(opened.path)!r}")
    metrics = evaluate_rows(adapter, opened, header.classes, labelled_rows(opened, split), str(resolve_device(device)))
    if out is not None:
        write_json(Path(out), metrics)
    return metrics


def evaluate_rows(
    adapter: Adapter, store: Store, classes: tuple[str, ...], rows: np.ndarray, device: str = "cpu"
) -> dict[str, Any]:
    """The metrics on the rows given, whose labels are translated by class name."""
    unknown = [name for name in store.classes if name not in classes]
    if unknown:
        raise AdapterError(
            f"{store.path} has {len(unknown)} class(es) that the adapter does not know, such as {unknown[0]!r}: "
            f"{did_you_mean(unknown[0], classes)}"
        )
    translate = np.array([classes.index(name) for name in store.classes])
    return classification_metrics(log_probabilities(adapter, store, rows, device), translate[store.labels[rows]])


def log_probabilities(
    adapter: Adapter, store: Store, rows: np.ndarray, device: str = "cpu"
) -> Float[np.ndarray, "rows views classes"]:
    """Of every cached view of every row, float32."""
    adapter = adapter.to(device).eval()
    loader = FeatureLoader(
        store,
        rows=rows,
        taps=adapter.taps_used,
        batch_size=_BATCH,
        shuffle=False,
        views="all",
        device=device,
        dtype=store.value_dtype,
    )
    parts: list[torch.Tensor] = []
    with torch.inference_mode():
        for batch in loader:
            flat = {tap: values.flatten(0, 1) for tap, values in batch.taps.items()}
            logits = adapter(flat).unflatten(0, (len(batch), store.n_views))
            parts.append(logits.log_softmax(dim=-1).cpu())
    return torch.cat(parts).numpy()


def labelled_rows(store: Store, split: str) -> np.ndarray:
    """The rows of a split whose class is known. Raises `ConfigError` when there is none."""
    rows: np.ndarray = store.rows(split)
    rows = rows[store.labels[rows] >= 0]
    if not len(rows):
        raise ConfigError(f"{store.path} has no labelled row in split {split!r}")
    return rows
