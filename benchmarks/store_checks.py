"""Stores that are made from other stores: with fewer taps, or with 8-bit codes instead of float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import udta
from udta.store import Quantiser, Store, StoreWriter

_BATCH = 32
_FITTED = 256  # training images whose views the 8-bit ranges are fitted on; extraction takes 512 images


def with_taps(store: Store, taps: Sequence[str]) -> Store:
    """The same store as if it held these taps alone, so that one with more of them serves."""
    store.check_taps(taps)
    chosen = copy(store)
    chosen.taps = {name: spec for name, spec in store.taps.items() if name in taps}
    return chosen


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
