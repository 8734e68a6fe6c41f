"""What an adapter says about rows of a store: logits by view, answers of its task, and the metrics of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from udta._console.progress import announce
from udta._machine.cores import side_by_side
from udta.adapters import Adapter
from udta.errors import FeatureError
from udta.loader import Batch, FeatureLoader
from udta.scoring._rows import labels_among
from udta.store import Store

# Rows at a time, each with all its views: at 64 rows, the 8 views and 49 x 1280 values of a MobileNet's last map are 64 MB.
_BATCH_ROWS = 64


def view_logits(
    adapter: Adapter,
    store: Store,
    rows: np.ndarray,
    device: str = "cpu",
    views: Literal["all"] | Sequence[int] = "all",
) -> Float[torch.Tensor, "rows views classes"]:
    """The adapter's scores of every cached view of every row, or of the views given, on the CPU.

    Raises:
        FeatureError: they are not finite; the images are named, for no figure may be made of such.
    """
    adapter = adapter.to(device).eval()  # one in training would normalise by its batch
    loader = FeatureLoader(
        store,
        rows=rows,
        taps=adapter.taps_used,
        batch_size=_BATCH_ROWS,
        shuffle=False,
        views=views,
        device=device,
        # Codes of a uint8 store are no values; other types go to the adapter as they are stored.
        dtype=store.value_dtype,
    )

    def of_batch(batch: Batch) -> Tensor:
        # One pass for all views of the batch: an adapter is thin, so that starting its kernels costs more than they do.
        return adapter(batch.flat().taps).unflatten(0, (len(batch), -1)).cpu()  # type: ignore[no-any-return]

    # Parts are kept by batch and joined once; they are small, some numbers a class.
    parts, done = [], 0
    with torch.inference_mode():
        for part in side_by_side(of_batch, loader, loader.device):
            parts.append(part)
            done += len(part)
            announce("rows evaluated", done, len(rows))
    logits = torch.cat(parts)
    # argmax of NaN is a class like any other: without this look, damaged features would only make an accuracy a bit lower.
    bad = rows[~torch.isfinite(logits).all(dim=2).all(dim=1).numpy()]
    if len(bad):
        raise FeatureError(
            f"{store.path}: what adapter {adapter.name!r} says of {len(bad)} of {len(rows)} image(s) is not finite, such as"
            f" {str(store.ids[bad[0]])!r}: `udta verify` says whether their features are whole; extract them again, or leave"
            " them out"
        )
    return logits


def view_answers(
    adapter: Adapter,
    store: Store,
    rows: np.ndarray,
    device: str = "cpu",
    views: Literal["all"] | Sequence[int] = "all",
) -> Float[np.ndarray, "rows views classes"]:
    """What may be averaged over views: log-probabilities (natural logarithms), log-odds of labels, or numbers in their units.

    In float32.

    Raises:
        FeatureError: the scores of an image are not finite.
    """
    return adapter.task.answers(view_logits(adapter, store, rows, device, views)).numpy()


def evaluate_rows(
    adapter: Adapter, store: Store, classes: tuple[str, ...], rows: np.ndarray, device: str = "cpu"
) -> dict[str, Any]:
    """The metrics of an adapter's task, with these `classes`, on labelled rows.

    Raises:
        AdapterError: the store has a class that the adapter does not know, or labels of another task.
        FeatureError: the scores of an image are not finite.
    """
    labels, answers = labels_among(store, adapter.task, classes, rows), view_answers(adapter, store, rows, device)
    return adapter.task.metrics(answers, labels, classes, adapter.thresholds)
