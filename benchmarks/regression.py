"""The rival on stored features: scikit-learn's logistic regression on the standardised output of the backbone's last module.

Of a map it reads the average; of tokens there are three inputs, the class token, the average of the patches, and both side by
side, and the one with the best cross-validated accuracy answers. It is given what the adapters are given: all cached views of
the training images as samples, and the log-probabilities of a test image's views averaged. C is chosen by cross-validation on
the training images, in which the views of an image stay together; what is best for single views answers for them, what is best
for averages for those (of equal ones, the one with the least loss).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import udta

FIGURES = ("top1", "top1_views")
FOLDS = 5
# C multiplies a sum over samples, so these values are divided by the number of views, which all say nearly the same.
CS = np.logspace(-4, 1, 11)


@dataclass(frozen=True)
class Samples:
    """Vectors `[images, views, features]`, float32, and the class of each image."""

    vectors: np.ndarray
    labels: np.ndarray

    def of(self, images: np.ndarray) -> Samples:
        """Some of the images."""
        return Samples(self.vectors[images], self.labels[images])

    def views(self, count: int) -> Samples:
        """The first views alone."""
        return Samples(self.vectors[:, :count], self.labels)


def read(store: udta.Store, tap: str, split: str, prefix: int = 0) -> dict[str, Samples]:
    """The inputs that one tap offers, by name, of every view of a split; of tokens the first `prefix` are no patches."""
    rows = store.rows(split)
    values = store.read(rows, taps=[tap], dtype="float32")[tap]
    if values.ndim == 4:  # [rows, views, tokens, features]
        token, average = values[:, :, 0], values[:, :, prefix:].mean(axis=2)
        found = {"class token": token, "average": average, "both": np.concatenate([token, average], axis=2)}
    else:
        found = {"average": values.reshape(*values.shape[:3], -1).mean(axis=3)}
    return {name: Samples(vectors, store.labels[rows]) for name, vectors in found.items()}


def best_of(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each figure of the input that was best for it in cross-validation, and which one that was."""
    answer: dict[str, Any] = {}
    for figure in FIGURES:
        name = max(
            inputs, key=lambda each: _merit(inputs[each]["cross_validated"][inputs[each][f"C_{figure}"]], figure)
        )
        answer |= {figure: inputs[name][figure], f"input_{figure}": name}
    return answer


def regression(train: Samples, test: Samples) -> dict[str, Any]:
    """Accuracy on view 0 and averaged over the views of the test images, the C of each, and the time with the choice of C."""
    wall, cpu = time.perf_counter(), time.process_time()
    # One thread: BLAS and OpenMP threads that wait for each other on busy cores make this several times slower.
    with threadpool_limits(1):
        return {
            **_tuned(train, test),
            "cpu_seconds": time.process_time() - cpu,
            "wall_seconds": time.perf_counter() - wall,
        }


def _tuned(train: Samples, test: Samples) -> dict[str, Any]:
    scores = cross_validate(train)
    chosen = {figure: max(scores, key=lambda c: _merit(scores[c], figure)) for figure in FIGURES}
    result: dict[str, Any] = {"views": train.vectors.shape[1]}
    for figure, c in chosen.items():
        (fitted,) = path(train, test, (c,))
        result |= {figure: fitted[figure], f"C_{figure}": f"{c:.3g}"}
    return {**result, "cross_validated": {f"{c:.3g}": score for c, score in scores.items()}}


def _merit(scores: Mapping[str, float], figure: str) -> tuple[float, float]:
    return scores[figure], -scores["loss"]


def cross_validate(train: Samples) -> dict[float, dict[str, float]]:
    """Both accuracies and the loss of every C, the mean over five folds of images, stratified by class."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(train.labels, train.labels)
    cs = tuple((CS / train.vectors.shape[1]).tolist())
    results = [path(train.of(fitted), train.of(held_out), cs) for fitted, held_out in folds]
    return {
        c: {figure: float(np.mean([result[number][figure] for result in results])) for figure in results[0][0]}
        for number, c in enumerate(cs)
    }


def path(train: Samples, test: Samples, cs: tuple[float, ...]) -> list[dict[str, float]]:
    """Accuracies and loss on `test` for each C in ascending order; each fit starts from the solution of the last one."""
    scaler = StandardScaler().fit(_flat(train))
    inputs, targets = scaler.transform(_flat(train)), np.repeat(train.labels, train.vectors.shape[1])
    model = LogisticRegression(max_iter=300, warm_start=True)
    results = []
    for c in cs:
        model.set_params(C=c)
        with warnings.catch_warnings():  # a C far above the best does not converge in 300 steps; its accuracy tells
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs, targets)
        logs = model.predict_log_proba(scaler.transform(_flat(test))).reshape(*test.vectors.shape[:2], -1)
        own = logs[np.arange(len(test.labels)), :, np.searchsorted(model.classes_, test.labels)]
        results.append(
            {
                "top1": float((model.classes_[logs[:, 0].argmax(axis=1)] == test.labels).mean()),
                "top1_views": float((model.classes_[logs.mean(axis=1).argmax(axis=1)] == test.labels).mean()),
                "loss": float(-own.mean()),
            }
        )
    return results


def _flat(samples: Samples) -> np.ndarray:
    return samples.vectors.reshape(-1, samples.vectors.shape[2])
