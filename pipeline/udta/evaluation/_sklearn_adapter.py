"""What the scikit-learn estimators share: an adapter that is trained on arrays, or on rows of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64, Num
from numpy.typing import ArrayLike

from udta._machine.device import own_randomness, resolve_device
from udta.adapters import Adapter, build_adapter, find_adapter
from udta.errors import ConfigError
from udta.evaluation._array_batches import TAP, ArrayBatches, labels_by_row
from udta.loader import FeatureLoader
from udta.scoring import view_answers
from udta.store import Store, open_store, relabelled
from udta.training.loop import fit
from udta.training.sources import EveryView, training_sources

# scikit-learn is an extra. Only who asks for an estimator imports this file, and hears here what to install.
try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
except ImportError as missing:
    raise ConfigError("udta's estimators need scikit-learn 1.6 or newer: pip install 'udta[sklearn]'") from missing


class SklearnAdapter(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Parameters are those of the classes below; each stands in their own `__init__`, where scikit-learn looks for them."""

    adapter: str
    store: str | Path | Store | None
    options: Mapping[str, Any] | None
    average_views: bool
    device: str
    random_state: int | np.random.RandomState | None
    # What differs from the adapter's recipe: scikit-learn wants parameters one by one, to set and to search them.
    _recipe: ClassVar[tuple[str, ...]]

    def _train(
        self,
        store: Store | None,
        inputs: np.ndarray,
        labels: Num[np.ndarray, "samples ..."],
        names: Sequence[str],
        task: str,
        changes: Mapping[str, Any],
    ) -> None:
        """A new adapter for samples or rows, in `adapter_`."""
        recipe = find_adapter(self.adapter).recipe_with(changes)
        # A draw and not the number: two fits with one RandomState differ, as scikit-learn has it.
        seed = int(check_random_state(self.random_state).randint(2**31))
        model, device = self._build(store, len(names), task, seed), resolve_device(self.device)
        batches: ArrayBatches | FeatureLoader
        every_view: ArrayBatches | EveryView
        if store is None:
            batches = ArrayBatches(inputs, labels, recipe.batch_size, device, seed, recipe.sampling)
            every_view = ArrayBatches(inputs, labels, recipe.batch_size, device)
        else:
            # With labels of its own: the caller's store keeps those it has.
            seen = relabelled(store, labels_by_row(len(store), inputs, labels), names, task)
            batches, every_view = training_sources(model, seen, inputs, recipe, seed, device)
        fit(model, batches, recipe=recipe, every_view=every_view, seed=seed, device=str(device))
        self.adapter_ = model.cpu()  # pickles of it load where there is no GPU

    def _changes(self) -> dict[str, Any]:
        """What differs from the adapter's own recipe."""
        return {name: getattr(self, name) for name in self._recipe if getattr(self, name) is not None}

    def _answers(self, X: ArrayLike) -> Float[np.ndarray, "samples outputs"]:  # noqa: N803  # scikit-learn's name
        """What the adapter says, of view 0 or the mean over views, in float64: log-probabilities, log-odds or numbers."""
        check_is_fitted(self)
        store, device = self._open(), resolve_device(self.device)
        if store is None:
            inputs = torch.tensor(validate_data(self, X, dtype=np.float32, reset=False), device=device)
            with torch.inference_mode():
                said = self.adapter_.to(device)({TAP: inputs})
                answers: np.ndarray = self.adapter_.task.answers(said).cpu().double().numpy()
                return answers
        views = range(store.n_views if self.average_views else 1)
        values = view_answers(self.adapter_, store, self._rows(store, X, reset=False), str(device), views)
        mean: np.ndarray = values.mean(axis=1, dtype=np.float64)
        return mean

    def _samples(
        self,
        store: Store | None,
        X: ArrayLike,  # noqa: N803
        y: ArrayLike,
        **checks: Any,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Samples, or rows of the store, and as many targets."""
        if store is None:
            inputs, targets = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2, **checks)
            return inputs, targets
        rows, targets = self._rows(store, X, reset=True), np.asarray(y)
        check_consistent_length(rows, targets)
        return rows, targets

    def _open(self) -> Store | None:
        return self.store if self.store is None or isinstance(self.store, Store) else open_store(self.store)

    def _rows(self, store: Store, X: ArrayLike, *, reset: bool) -> Int64[np.ndarray, " samples"]:  # noqa: N803
        # A column, as validate_data wants it and as cross-validation hands rows on; it counts the features, which is 1.
        column = np.reshape(X, (-1, 1)) if np.ndim(X) == 1 else X
        rows = validate_data(self, column, dtype=None, reset=reset)
        if rows.shape[1] != 1:
            raise ValueError(f"with a store, X holds row numbers, one a sample, but its shape is {list(rows.shape)}")
        return store.check_rows(rows[:, 0])

    def _build(self, store: Store | None, n_outputs: int, task: str, seed: int) -> Adapter:
        shapes: dict[str, tuple[int, ...]] = {TAP: (self.n_features_in_,)}
        if store is not None:
            shapes = {tap.name: tap.shape for tap in store.taps.values()}
        # Initial weights from the seed alone, and torch's global generator as it was.
        with own_randomness(seed):
            return build_adapter(self.adapter, shapes, n_outputs, task=task, **(self.options or {}))
