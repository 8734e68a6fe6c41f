"""The scikit-learn face: an adapter as a classifier over features in memory, or over rows of a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike
from torch import Tensor

from udta._machine.device import own_randomness, resolve_device
from udta.adapters import Adapter, build_adapter, find_adapter
from udta.adapters.recipe_values import CLASS_WEIGHTS
from udta.errors import ConfigError, did_you_mean
from udta.loader import Batch, FeatureLoader, balanced_rows
from udta.scoring import log_probabilities
from udta.store import Store, open_store, relabelled
from udta.training.loop import fit
from udta.training.sources import EveryView, training_sources

# scikit-learn is an extra. Only who asks for `udta.UDTAClassifier` imports this file, and hears here what to install.
try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data
except ImportError as missing:
    raise ConfigError("UDTAClassifier needs scikit-learn 1.6 or newer: pip install 'udta[sklearn]'") from missing

_TAP = "features"  # what the one tap of an array is called
# scikit-learn wants parameters one by one, to set and to search them; these together are what differs from the adapter's recipe.
_RECIPE = (
    "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "mixup", "sampling", "logit_adjustment",
)  # fmt: skip


class UDTAClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Any adapter, as scikit-learn wants a classifier.

    Without `store`, X is an array `[samples, features]`, one tap. With it, X holds row numbers of the store, `[samples]` or
    `[samples, 1]`: training draws a random cached view of each row in every epoch, prediction reads view 0 or averages the
    log-probabilities over all views. y holds class labels of any kind; those of the store are not looked at, so one store serves
    any task over its images.

        rows = store.rows("train")
        cross_val_score(UDTAClassifier(store="photos.zarr"), rows, store.labels[rows])

    Args:
        adapter: the adapter's name; on a single tap without positions, `udta` is the linear probe.
        store: a path or an opened store; None for arrays.
        options: the adapter's own options.
        epochs: passes over the samples. None, here and in the next eight, takes what the adapter's own recipe says.
        batch_size: rows a step.
        lr: peak of the one-cycle schedule.
        weight_decay: decoupled, as AdamW has it.
        label_smoothing: share of the target spread over all classes.
        mixup: Beta parameter of feature mixup, 0 for none.
        class_weights: `balanced`, or weights by label, 1 for labels that are not named.
        sampling: `uniform` or `balanced`: every sample once an epoch, or every class as often as another.
        logit_adjustment: 1 for probabilities as if classes had equal shares; closed forms have it too.
        average_views: with a store: predict from all cached views instead of view 0 alone.
        device: where to train and predict: `auto`, `cpu`, `cuda` or `cuda:N`.
        random_state: of initial weights, order, views and mixup, as scikit-learn has it.

    Attributes:
        classes_: the labels, sorted.
        adapter_: the trained module.
        n_features_in_: width of X, 1 for row numbers.
    """

    def __init__(
        self,
        adapter: str = "udta",
        *,
        store: str | Path | Store | None = None,
        options: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float | None = None,
        mixup: float | None = None,
        class_weights: Mapping[Any, float] | str | None = None,
        sampling: str | None = None,
        logit_adjustment: float | None = None,
        average_views: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        # As they are given, and nothing is checked: `clone` and `set_params` count on it. `fit` checks.
        self.adapter = adapter
        self.store = store
        self.options = options
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.class_weights = class_weights
        self.sampling = sampling
        self.logit_adjustment = logit_adjustment
        self.average_views = average_views
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> UDTAClassifier:  # noqa: N803  # scikit-learn's name
        """Train a new adapter.

        Raises:
            ValueError: X or y is not what a classifier can learn from.
            ConfigError: unknown adapter, options or recipe values.
            UncommittedRowError, IndexError: rows that the store does not have.
        """
        store = self._open()
        inputs, codes = self._checked(store, X, y)
        recipe = find_adapter(self.adapter).recipe_with(self._changes(store))
        # A draw and not the number: two fits with one RandomState differ, as scikit-learn has it.
        seed = int(check_random_state(self.random_state).randint(2**31))
        model, device = self._build(store, seed), resolve_device(self.device)
        batches: ArrayBatches | FeatureLoader
        every_view: ArrayBatches | EveryView
        if store is None:
            batches = ArrayBatches(inputs, codes, recipe.batch_size, device, seed, recipe.sampling)
            every_view = ArrayBatches(inputs, codes, recipe.batch_size, device)
        else:
            # With labels of its own: the caller's store keeps those it has.
            task = relabelled(store, _labels_by_row(len(store), inputs, codes), list(map(str, self.classes_)))
            batches, every_view = training_sources(model, task, inputs, recipe, seed, device)
        fit(model, batches, recipe=recipe, every_view=every_view, seed=seed, device=str(device))
        self.adapter_ = model.cpu()  # pickles of it load where there is no GPU
        return self

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Log-probabilities `[samples, classes]`; with two classes the log-odds of the second, `[samples]`."""
        scores = self._scores(X)
        decision: np.ndarray = scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores
        return decision

    def predict_proba(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Probabilities `[samples, classes]`, in the order of `classes_`."""
        scores = self._scores(X)
        # Normalised again: a mean of log-probabilities over views is a geometric mean, which does not add up to 1.
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: np.ndarray = probabilities / probabilities.sum(axis=1, keepdims=True)
        return result

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The most probable label of each sample."""
        best = self._scores(X).argmax(axis=1)  # before `classes_`: it refuses an estimator that is not fitted
        labels: np.ndarray = self.classes_[best]
        return labels

    def _scores(self, X: ArrayLike) -> Float[np.ndarray, "samples classes"]:  # noqa: N803
        """Log-probabilities, of view 0 or the mean over views, in float64."""
        check_is_fitted(self)
        store, device = self._open(), resolve_device(self.device)
        if store is None:
            inputs = torch.tensor(validate_data(self, X, dtype=np.float32, reset=False), device=device)
            with torch.inference_mode():
                logits: Tensor = self.adapter_.to(device)({_TAP: inputs})
                return logits.log_softmax(dim=1).cpu().double().numpy()
        views = range(store.n_views if self.average_views else 1)
        values = log_probabilities(self.adapter_, store, self._rows(store, X, reset=False), str(device), views)
        mean: np.ndarray = values.mean(axis=1, dtype=np.float64)
        return mean

    def _checked(
        self,
        store: Store | None,
        X: ArrayLike,  # noqa: N803
        y: ArrayLike,
    ) -> tuple[np.ndarray, Int64[np.ndarray, " samples"]]:
        """Samples, or rows of the store, and the position of each label in `classes_`, which is set here."""
        if store is None:
            inputs, targets = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        else:
            inputs, targets = self._rows(store, X, reset=True), column_or_1d(y, warn=True)
            check_consistent_length(inputs, targets)
        check_classification_targets(targets)
        self.classes_, codes = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: a classifier needs at least two")
        return inputs, codes

    def _changes(self, store: Store | None) -> dict[str, Any]:
        """What differs from the adapter's own recipe; weights are by the names that classes have in training."""
        changes = {name: getattr(self, name) for name in _RECIPE if getattr(self, name) is not None}
        weights = self.class_weights
        if isinstance(weights, str) and weights not in CLASS_WEIGHTS:  # names in a file would be those of no label here
            raise ConfigError(
                f"class_weights is {weights!r}: {did_you_mean(weights, CLASS_WEIGHTS)} Or give weights by label"
            )
        if isinstance(weights, Mapping):
            named = enumerate(self.classes_.tolist())
            weights = {
                str(index if store is None else label): weights[label] for index, label in named if label in weights
            }
        return {**changes, **({"class_weights": weights} if weights else {})}

    def _open(self) -> Store | None:
        return self.store if self.store is None or isinstance(self.store, Store) else open_store(self.store)

    def _rows(self, store: Store, X: ArrayLike, *, reset: bool) -> Int64[np.ndarray, " samples"]:  # noqa: N803
        # A column, as validate_data wants it and as cross-validation hands rows on; it counts the features, which is 1.
        column = np.reshape(X, (-1, 1)) if np.ndim(X) == 1 else X
        rows = validate_data(self, column, dtype=None, reset=reset)
        if rows.shape[1] != 1:
            raise ValueError(f"with a store, X holds row numbers, one a sample, but its shape is {list(rows.shape)}")
        return store.check_rows(rows[:, 0])

    def _build(self, store: Store | None, seed: int) -> Adapter:
        shapes: dict[str, tuple[int, ...]] = {_TAP: (self.n_features_in_,)}
        if store is not None:
            shapes = {tap.name: tap.shape for tap in store.taps.values()}
        # Initial weights from the seed alone, and torch's global generator as it was.
        with own_randomness(seed):
            return build_adapter(self.adapter, shapes, len(self.classes_), **(self.options or {}))


class ArrayBatches:
    """Epochs over an array in memory, as one tap; a seed shuffles every one of them, `uniform` or `balanced` by class."""

    def __init__(
        self,
        inputs: Float[np.ndarray, "samples features"],
        codes: Int64[np.ndarray, " samples"],
        batch_size: int,
        device: torch.device,
        seed: int | None = None,
        sampling: str = "uniform",
    ) -> None:
        # Copies, because torch warns of arrays that must not be written to, and joblib's are such.
        self._inputs, self._codes = torch.tensor(inputs, device=device), torch.tensor(codes, device=device)
        self._batch_size = batch_size
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._drawn = np.random.default_rng(seed) if sampling == "balanced" else None

    def __len__(self) -> int:
        return -(-len(self._codes) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self._codes)
        order = torch.arange(n) if self._generator is None else torch.randperm(n, generator=self._generator)
        if self._drawn is not None:
            order = torch.from_numpy(balanced_rows(np.arange(n), self._codes.cpu().numpy(), self._drawn))[order]
        for part in torch.split(order.to(self._codes.device), self._batch_size):
            yield Batch({_TAP: self._inputs[part]}, self._codes[part], part)


def _labels_by_row(
    n_rows: int, rows: Int64[np.ndarray, " samples"], codes: Int64[np.ndarray, " samples"]
) -> Int64[np.ndarray, " rows"]:
    """Raises `ValueError` for a row that is given twice with different labels."""
    by_row = np.full(n_rows, -1)
    by_row[rows] = codes
    if not np.array_equal(by_row[rows], codes):
        raise ValueError("a row of the store is given twice with different labels")
    return by_row
