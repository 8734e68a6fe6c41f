"""Whether what is stored is as good as what is computed: stored against live logits, and 8-bit against float16 stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import udta
from benchmarks.live.frozen import OnLiveTaps
from benchmarks.live.photographs import Photographs
from udta.adapters import Adapter
from udta.backbones import Backbone
from udta.scoring import labelled_rows, log_probabilities
from udta.store import Quantiser, Store, StoreWriter

_BATCH = 32
_FITTED = 256  # training images whose views the 8-bit ranges are fitted on; extraction takes 512 images


def with_taps(store: Store, taps: Sequence[str]) -> Store:
    """The same store as if it held these taps alone, so that one with more of them serves."""
    store.check_taps(taps)
    chosen = copy(store)
    chosen.taps = {name: spec for name, spec in store.taps.items() if name in taps}
    return chosen


def parity(adapter: Adapter, store: Store, photographs: Photographs, backbone: Backbone) -> dict[str, float]:
    """Share of test images whose stored and live features have the same top-1, and the largest difference of log-probabilities.

    Live are view 0 of the images, decoded anew, the backbone and the taps in float32.
    """
    rows = labelled_rows(store, "test")
    specs = tuple(replace(store.taps[tap], dtype="float32") for tap in adapter.taps_used)
    network = OnLiveTaps(backbone, specs, adapter).eval()
    with torch.inference_mode():
        logits = torch.cat([network(images) for images, _ in photographs.batches(rows, 0, _BATCH)])
    live = logits.log_softmax(dim=1).numpy()
    stored = log_probabilities(adapter, store, rows)[:, 0]
    return {
        "images": len(rows),
        "same_top1": float((live.argmax(axis=1) == stored.argmax(axis=1)).mean()),
        "largest_difference": float(np.abs(live - stored).max()),
    }


def as_uint8(store: Store, path: Path) -> Store:
    """A uint8 store of the features of a float16 one, with ranges of training images alone.

    `udta extract --dtype uint8` makes codes of the float32 features; rounding them to float16 first moves a value by at most
    1/2000 of itself, a small part of a code.
    """
    fitted = store.rows("train")
    fitted = fitted[:: max(1, len(fitted) // _FITTED)]
    quantisers = {}
    for tap in store.taps:
        values = store.read(fitted, taps=[tap], dtype="float32")[tap]
        quantisers[tap] = Quantiser.fit(values.reshape(-1, *values.shape[2:]))
    layout = replace(
        store.layout,
        taps={name: replace(spec, dtype="uint8") for name, spec in store.taps.items()},
        quantisers=quantisers,
        storage_error={},
        fingerprint=type(store.fingerprint)({**store.fingerprint.fields, "dtype": "uint8"}),
    )
    with StoreWriter(path, layout, [store.hashes[name] for name in layout.ids]) as writer:
        for block in writer.missing:
            rows = np.arange(*layout.block_range(block))
            writer.write(block, {tap: _codes(store, tap, rows, quantisers) for tap in store.taps})
    return udta.open_store(path)


def _codes(store: Store, tap: str, rows: np.ndarray, quantisers: Mapping[str, Quantiser]) -> np.ndarray:
    values = store.read(rows, taps=[tap], dtype="float32")[tap]
    codes, _ = quantisers[tap].encode(torch.from_numpy(values.reshape(-1, *values.shape[2:])))
    return codes.numpy().reshape(values.shape)
