"""Features of rows, computed batch after batch in the order in which blocks want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from udta.backbones import TapForward
from udta.data import Manifest, ViewSpec
from udta.errors import FeatureError
from udta.extraction.pipeline import ViewBatch, decoded_batches
from udta.extraction.setup import OnError
from udta.fingerprint import TapSpec
from udta.store import BATCH_ROWS, Layout, Part, stored_dtype


class FeatureStream:
    """Computes the same views and taps of a sequence of rows; `fill` takes the next ones.

    Where whole blocks are computed a batch never crosses a block, since blocks are a whole number of batches: the bits do not
    depend on where a run was interrupted. Only where a store grows by single images do these share batches across blocks.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        manifest: Manifest,
        views: ViewSpec,
        layout: Layout,
        forward: Callable[[tuple[TapSpec, ...]], TapForward],
        on_error: OnError,
        computed: Callable[[int], None],
    ) -> None:
        self._views = parts[0].views
        self._taps = tuple(layout.taps[name] for name in parts[0].taps)
        self._quantisers = layout.quantisers
        self._forward = forward(self._taps)
        self._batches = decoded_batches(manifest, views, self._views, _batches(parts, layout), on_error)
        self._ids, self._computed = manifest.ids, computed
        self._ready: dict[str, np.ndarray] = {}
        self._batch: ViewBatch | None = None
        self._used = 0
        self.clipped: dict[str, np.ndarray] = {}

    def fill(
        self, rows: np.ndarray, start: int, features: Mapping[str, np.ndarray]
    ) -> tuple[dict[int, str], dict[str, int]]:
        """Put the next `rows` into a block's buffers, where row r is at `r - start`; returns what was skipped and clipped."""
        skipped: dict[int, str] = {}
        clipped: dict[str, int] = {}
        done = 0
        while done < len(rows):
            if self._batch is None or self._used == len(self._batch.rows):
                self._compute(next(self._batches))
            assert self._batch is not None
            count = min(len(self._batch.rows) - self._used, len(rows) - done)
            source, target = slice(self._used, self._used + count), rows[done : done + count] - start
            for tap, values in self._ready.items():
                for position, view in enumerate(self._views):
                    features[tap][target, view] = values[source, position]
                if tap in self.clipped:
                    clipped[tap] = clipped.get(tap, 0) + int(self.clipped[tap][source].sum())
            skipped |= {row: self._batch.skipped[row] for row in self._batch.rows[source] if row in self._batch.skipped}
            self._used, done = self._used + count, done + count
        return skipped, clipped

    def close(self) -> None:
        """Stop decoding ahead."""
        self._batches.close()

    def _compute(self, batch: ViewBatch) -> None:
        """One view at a time, so that a batch has the same rows in it whatever the number of views."""
        self._batch, self._used = batch, 0
        shape = (len(batch.rows), len(self._views))
        self._ready = {tap.name: np.empty((*shape, *tap.shape), stored_dtype(tap.dtype)) for tap in self._taps}
        self.clipped = {tap.name: np.zeros(shape, np.int64) for tap in self._taps if tap.name in self._quantisers}
        for position in range(len(self._views)):
            pixels = torch.from_numpy(np.ascontiguousarray(batch.images[:, position])).permute(0, 3, 1, 2)
            for tap, values in self._forward(pixels).items():
                if tap in self._quantisers:
                    self._check(tap, values, batch)
                    values, clipped = self._quantisers[tap].encode(values)
                    self.clipped[tap][:, position] = clipped.cpu().numpy()
                bits = values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
                self._ready[tap][:, position] = bits.cpu().numpy()
        self._computed(len(batch.rows))

    def _check(self, tap: str, values: torch.Tensor, batch: ViewBatch) -> None:
        """Codes cannot be NaN, so their values are looked at before; other types are checked when they are written."""
        finite = values.flatten(1).isfinite().all(dim=1).tolist()
        for row, good in zip(batch.rows, finite, strict=True):
            if not good and row not in batch.skipped:
                raise FeatureError(
                    f"tap {tap!r} of sample {self._ids[row]!r} holds NaN or infinite values, which are never stored"
                )


def _batches(parts: Sequence[Part], layout: Layout) -> list[list[int]]:
    """Rows of all parts in order, `BATCH_ROWS` at a time; a part that is a whole block begins and ends with a batch."""
    batches: list[list[int]] = []
    for part in parts:
        rows = part.rows.tolist()
        start, stop = layout.block_range(rows[0] // layout.block_rows)
        if len(rows) < stop - start and batches and len(batches[-1]) < BATCH_ROWS:
            room = BATCH_ROWS - len(batches[-1])
            batches[-1] += rows[:room]
            rows = rows[room:]
        batches += [rows[first : first + BATCH_ROWS] for first in range(0, len(rows), BATCH_ROWS)]
    return batches
