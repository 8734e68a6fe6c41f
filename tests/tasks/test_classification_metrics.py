"""Metrics against scikit-learn and by hand."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, top_k_accuracy_score
from sklearn.metrics import confusion_matrix as reference_matrix

from udta.tasks.classification_metrics import bootstrap_interval, classification_metrics, confusion_matrix


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
    assert metrics["balanced_accuracy"] == metrics["mean_per_class"]
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, first.argmax(1), average="macro"))
    assert metrics["top1_views"] == accuracy_score(labels, log_probabilities.mean(1).argmax(1))
    assert metrics["n"] == 200


def test_classes_without_an_image_count_where_they_are_predicted():
    log_probabilities, labels = random_case(classes=6)
    labels = labels % 3
    metrics, predicted = classification_metrics(log_probabilities, labels), log_probabilities[:, 0].argmax(1)
    recalls = [np.mean(predicted[labels == label] == label) for label in range(3)]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))


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


def test_confusion_matrix_agrees_with_scikit_learn():
    log_probabilities, labels = random_case(classes=4)
    predicted = log_probabilities[:, 0].argmax(1)
    expected = reference_matrix(labels, predicted, labels=range(6))
    np.testing.assert_array_equal(confusion_matrix(predicted, labels, 6), expected)


@pytest.mark.parametrize("values", [np.arange(150) < 120, np.repeat([-1, 0, 1], [10, 60, 30])])
def test_bootstrap_interval_agrees_with_scipy(values):
    low, high = bootstrap_interval(values)
    expected = bootstrap(
        (values.astype(float),), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(expected), abs=0.011)
    assert low < values.mean() < high
    assert bootstrap_interval(values) == (low, high)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    """300 samples of 200 images of which 80 % are right: 95 % of the intervals hold 0.8, give or take three standard errors."""
    rng = np.random.default_rng(0)
    covered = [low <= 0.8 <= high for low, high in (bootstrap_interval(rng.random(200) < 0.8) for _ in range(300))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.038)


def test_intervals_of_the_metrics_are_those_of_their_figures():
    log_probabilities, labels = random_case()
    metrics = classification_metrics(log_probabilities, labels, seed=3)
    correct = log_probabilities[:, 0].argmax(1) == labels
    averaged = log_probabilities.mean(1).argmax(1) == labels
    assert (metrics["top1_low"], metrics["top1_high"]) == bootstrap_interval(correct, 3)
    assert (metrics["top1_views_low"], metrics["top1_views_high"]) == bootstrap_interval(averaged, 3)
