"""Metrics against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from udta.metrics import classification_metrics


def random_case(n=200, views=3, classes=8, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, views, classes))
    logits[np.arange(n), :, labels] += 1
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True)), labels


def test_agrees_with_scikit_learn():
    log_probabilities, labels = random_case()
    metrics = classification_metrics(log_probabilities, labels)
    first = log_probabilities[:, 0]
    assert metrics["top1"] == accuracy_score(labels, first.argmax(1))
    assert metrics["top5"] == top_k_accuracy_score(labels, first, k=5)
    assert metrics["mean_per_class"] == pytest.approx(balanced_accuracy_score(labels, first.argmax(1)))
    assert metrics["top1_views"] == accuracy_score(labels, log_probabilities.mean(1).argmax(1))
    assert metrics["n"] == 200


def test_averaging_views_helps_when_their_errors_are_independent():
    metrics = classification_metrics(*random_case(2000, views=8))
    assert metrics["top1_views"] > metrics["top1"] + 0.1


def test_calibration_error_by_hand():
    """Two of confidence 0.9, one right; two of 0.6, both right: (2 |0.9 - 0.5| + 2 |0.6 - 1|) / 4 = 0.4."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    metrics = classification_metrics(np.log(probabilities)[:, None], np.array([0, 1, 1, 1]))
    assert metrics["ece"] == pytest.approx(0.4)


def test_fewer_than_five_classes():
    assert classification_metrics(np.log(np.array([[[0.6, 0.4]]])), np.array([1]))["top5"] == 1.0
