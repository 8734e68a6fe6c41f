"""The scikit-learn face: an adapter as a classifier or regressor over features in memory, or over rows of a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from udta.adapters.recipe_values import CLASS_WEIGHTS
from udta.errors import ConfigError, did_you_mean
from udta.evaluation._sklearn_adapter import (
    SklearnAdapter,  # first: it says what to install where scikit-learn is missing
)
from udta.store import Store
from udta.tasks.binary_calibration import probabilities_of

from sklearn.base import ClassifierMixin, RegressorMixin  # isort: skip
from sklearn.utils import Tags  # isort: skip
from sklearn.utils.multiclass import check_classification_targets, type_of_target  # isort: skip
from sklearn.utils.validation import column_or_1d  # isort: skip

_SEVERAL = "multilabel-indicator"  # what scikit-learn calls a matrix of 0 and 1


class UDTAClassifier(ClassifierMixin, SklearnAdapter):  # type: ignore[misc]  # scikit-learn has no types
    """Any adapter, as scikit-learn wants a classifier.

    Without `store`, X is an array `[samples, features]`, one tap. With it, X holds row numbers of the store, `[samples]` or
    `[samples, 1]`: training draws a random cached view of each row in every epoch, prediction reads view 0 or averages the
    log-probabilities over all views. y holds class labels of any kind; those of the store are not looked at, so one store serves
    any task over its images. Where y is a matrix `[samples, labels]` of 0 and 1, every sample may have several labels.

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
        classes_: the labels, sorted; of a matrix the numbers of its columns.
        adapter_: the trained module.
        n_features_in_: width of X, 1 for row numbers.
    """

    _recipe: ClassVar[tuple[str, ...]] = (
        "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "mixup", "sampling", "logit_adjustment",
    )  # fmt: skip

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
        inputs, targets = self._samples(store, X, y, multi_output=True)
        labels: np.ndarray
        check_classification_targets(targets)
        if type_of_target(targets) == _SEVERAL:
            self.classes_ = np.arange(targets.shape[1])
            labels, task = np.asarray(targets, dtype=np.float32), "multilabel"
        else:
            self.classes_, labels = np.unique(column_or_1d(targets, warn=True), return_inverse=True)
            task = "multiclass"
            if len(self.classes_) < 2:
                raise ValueError(f"y has one class, {self.classes_[0]!r}: a classifier needs at least two")
        self._train(store, inputs, labels, list(map(str, self.classes_)), task, self._weighted(store))
        return self

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Log-probabilities `[samples, classes]`; with two classes the log-odds of the second, `[samples]`.

        Of several labels the log-odds of each, above 0 where it is said to be there.
        """
        scores = self._answers(X)
        if self.adapter_.task.decides:
            above: np.ndarray = scores - self.adapter_.thresholds
            return above
        decision: np.ndarray = scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores
        return decision

    def predict_proba(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Probabilities `[samples, classes]`, in the order of `classes_`; those of several labels do not add up to 1."""
        scores = self._answers(X)
        if self.adapter_.task.decides:
            return probabilities_of(scores)
        # Normalised again: a mean of log-probabilities over views is a geometric mean, which does not add up to 1.
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: np.ndarray = probabilities / probabilities.sum(axis=1, keepdims=True)
        return result

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The most probable label of each sample, or a matrix of the labels above their thresholds."""
        scores = self._answers(X)  # before `classes_`: it refuses an estimator that is not fitted
        if self.adapter_.task.decides:
            there: np.ndarray = (scores > self.adapter_.thresholds).astype(int)
            return there
        labels: np.ndarray = self.classes_[scores.argmax(axis=1)]
        return labels

    def _weighted(self, store: Store | None) -> dict[str, Any]:
        """What differs from the adapter's own recipe; weights are by the names that classes have in training."""
        changes, weights = self._changes(), self.class_weights
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class UDTARegressor(RegressorMixin, SklearnAdapter):  # type: ignore[misc]
    """Any adapter, as scikit-learn wants a regressor; y holds a number a sample, or several, and X is as of `UDTAClassifier`.

    Args:
        adapter: the adapter's name.
        store: a path or an opened store; None for arrays.
        options: the adapter's own options.
        epochs: passes over the samples. None, here and in the next four, takes what the adapter's own recipe says.
        batch_size: rows a step.
        lr: peak of the one-cycle schedule.
        weight_decay: decoupled, as AdamW has it.
        mixup: Beta parameter of feature mixup, 0 for none.
        average_views: with a store: predict from all cached views instead of view 0 alone.
        device: where to train and predict: `auto`, `cpu`, `cuda` or `cuda:N`.
        random_state: of initial weights, order, views and mixup, as scikit-learn has it.

    Attributes:
        adapter_: the trained module.
        n_features_in_: width of X, 1 for row numbers.
    """

    _recipe: ClassVar[tuple[str, ...]] = ("epochs", "batch_size", "lr", "weight_decay", "mixup")

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
        mixup: float | None = None,
        average_views: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.adapter = adapter
        self.store = store
        self.options = options
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.mixup = mixup
        self.average_views = average_views
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> UDTARegressor:  # noqa: N803
        """Train a new adapter.

        Raises:
            ValueError: X or y is not what a regressor can learn from.
            ConfigError: unknown adapter, options or recipe values.
            UncommittedRowError, IndexError: rows that the store does not have.
        """
        store = self._open()
        inputs, targets = self._samples(store, X, y, multi_output=True, y_numeric=True)
        self._single = targets.ndim == 1
        labels = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
        names = [str(number) for number in range(labels.shape[1])]
        self._train(store, inputs, labels, names, "regression", self._changes())
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Numbers in the units of y, of its shape."""
        said = self._answers(X)
        return said[:, 0] if self._single else said

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
