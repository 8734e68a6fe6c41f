"""What every adapter says of a batch, as lines of a table, and which images have no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np
import torch
from torch import Tensor

from udta.errors import FeatureError
from udta.extraction import FeatureBatch
from udta.images import Manifest, OnError
from udta.prediction._prediction import answer, prediction_of
from udta.prediction._shared_pass import SharedPass
from udta.prediction._table_lines import Line, Lines
from udta.store import as_tensor, not_finite, value_dtype


class Answers:
    """Of one pass over a manifest, whose images may be skipped or not."""

    def __init__(self, shared: SharedPass, lines: Lines, manifest: Manifest, on_error: OnError) -> None:
        self._shared, self._lines, self._ids, self._on_error = shared, lines, manifest.ids, on_error
        self._types = {tap.name: tap.dtype for tap in shared.taps}

    def of(self, batch: FeatureBatch) -> tuple[list[Line], int, dict[str, str]]:
        """The lines of a batch, how many images, and why some have no answer; several threads may ask at the same time.

        Raises:
            FeatureError: features or scores are not finite, and no image may be skipped.
        """
        names, features = [self._ids[row] for row in batch.rows], batch.features
        skipped = {self._ids[row]: reason for row, reason in batch.skipped.items()}
        for position, reason in not_finite(features, self._types).items():
            skipped.setdefault(names[position], self._allowed(names[position], reason))
        values = {name: self._values(features[name], dtype) for name, dtype in self._types.items()}
        unusable, lines = frozenset(skipped), list[Line]()
        for path in self._shared.adapters:
            found, lost = self._of_adapter(path, names, values, unusable)
            lines += found
            skipped = {**lost, **skipped}
        return lines, len(names), skipped

    def _of_adapter(
        self, path: str, names: Sequence[str], values: Mapping[str, Tensor], unusable: Set[str]
    ) -> tuple[list[Line], dict[str, str]]:
        """The lines of one adapter, and which images it has no answer for, besides those that are unusable for all."""
        adapter, shared = self._shared.adapters[path], self._shared
        answers = answer(adapter, shared.of_adapter(path, values), shared.views.count)
        # Finite features may still overflow in an adapter, and then the first NaN would be the best class.
        broken = torch.isfinite(answers).all(dim=1).logical_not().nonzero().flatten().tolist()
        lost = {
            name: self._allowed(name, f"adapter {path} gives NaN or infinite scores")
            for name in (names[position] for position in broken)
            if name not in unusable
        }
        prediction = prediction_of(adapter, shared.headers[path].classes, answers)
        return list(self._lines.of(names, path, prediction, unusable | lost.keys())), lost

    def _values(self, stored: np.ndarray, dtype: str) -> Tensor:
        """A tap as float32, once for all adapters; features come as bits, since NumPy has no bfloat16."""
        return as_tensor(stored.view(value_dtype(dtype))).to(self._shared.device).float()

    def _allowed(self, name: str, reason: str) -> str:
        """The reason, where an image may be skipped; raises `FeatureError` where not."""
        if self._on_error == "fail":
            raise FeatureError(f"{name}: {reason}; --on-error skip leaves such images out")
        return reason
