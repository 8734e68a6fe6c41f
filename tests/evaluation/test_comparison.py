"""Paired comparison, against SciPy and by hand."""

import sys

import numpy as np
import pytest
from scipy.stats import binomtest

from udta.evaluation._comparison import mcnemar, paired_comparison, sign_test


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 5), (3, 3), (10, 25), (400, 350), (2000, 2300)])
def test_mcnemar_agrees_with_scipy(b, c):
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(c, b) == mcnemar(b, c)


@pytest.mark.parametrize(("fewer", "n"), [(0, 1), (0, 5), (3, 6), (10, 35), (350, 750), (2000, 4300)])
def test_without_scipy_the_figure_is_the_same(monkeypatch, fewer, n):
    with_scipy = mcnemar(fewer, n - fewer)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert mcnemar(fewer, n - fewer) == sign_test(fewer, n) == pytest.approx(with_scipy, rel=1e-9)


def outcome(correct):
    """Log-probabilities of two classes that are right where `correct` is set, `[samples, views]`; the label is 0."""
    right = np.asarray(correct)[..., None]
    return np.log(np.where(right, [0.8, 0.2], [0.2, 0.8]))


def test_counts_and_differences_by_hand():
    this = outcome([[1], [1], [1], [0]] * 10)
    other = outcome([[1], [0], [0], [1]] * 10)
    labels = np.zeros(40, dtype=int)
    single = paired_comparison(this, labels, other, labels)["single"]
    assert (single["only_this"], single["only_other"]) == (20, 10)
    assert single["top1"] == 0.5
    assert single["difference"] == 0.25
    assert single["p"] == pytest.approx(binomtest(10, 30).pvalue)


def test_classes_in_another_order_are_the_same_classes():
    this, labels = outcome([[1], [0], [1]]), np.zeros(3, dtype=int)
    result = paired_comparison(this, labels, this[..., ::-1], 1 - labels)
    assert result["single"]["difference"] == 0.0
    assert (result["single"]["low"], result["single"]["high"], result["single"]["p"]) == (0.0, 0.0, 1.0)


def test_views_are_averaged_in_the_second_comparison():
    """View 0 of the other is wrong, its two further views are right."""
    this, other = outcome([[1, 1, 1]] * 8), outcome([[0, 1, 1]] * 8)
    labels = np.zeros(8, dtype=int)
    result = paired_comparison(this, labels, other, labels)
    assert (result["single"]["difference"], result["views"]["difference"]) == (1.0, 0.0)


def test_pairing_makes_the_interval_narrower_than_that_of_independent_runs():
    rng = np.random.default_rng(0)
    this = rng.random((500, 1)) < 0.8
    other = this & (rng.random((500, 1)) < 0.97)
    labels = np.zeros(500, dtype=int)
    single = paired_comparison(outcome(this), labels, outcome(other), labels)["single"]
    independent = 2 * 1.96 * np.sqrt((this.var() + other.var()) / 500)
    assert 0 < single["low"] < single["difference"] < single["high"]
    assert single["high"] - single["low"] < 0.5 * independent
