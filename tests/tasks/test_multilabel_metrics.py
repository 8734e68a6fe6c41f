import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from udta.tasks.multilabel_metrics import average_precision, multilabel_metrics

NAMES = ("a", "b", "c", "nobody")


@pytest.fixture(scope="module")
def case():
    """Equal scores among them, and a label that no image has."""
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(60, 4)) < [0.5, 0.3, 0.1, 0]).astype(np.float32)
    return np.round(labels[:, None] + rng.standard_normal((60, 3, 4)), 1).astype(np.float32), labels


def test_figures_are_those_of_scikit_learn(case):
    scores, labels = case
    thresholds = np.array([0.3, 0.5, 0.1, 0.0], dtype=np.float32)
    found = multilabel_metrics(scores, labels, NAMES, thresholds)
    for suffix, said in (("", scores[:, 0]), ("_views", scores.mean(1))):
        assert found[f"map{suffix}"] == pytest.approx(average_precision_score(labels[:, :3], said[:, :3]))
        assert found[f"micro_f1{suffix}"] == pytest.approx(f1_score(labels, said > thresholds, average="micro"))
        assert found[f"macro_f1{suffix}"] == pytest.approx(
            f1_score(labels[:, :3], (said > thresholds)[:, :3], average="macro")
        )
    assert found["by_label"]["b"]["ap"] == pytest.approx(average_precision_score(labels[:, 1], scores[:, 0, 1]))
    assert found["by_label"]["b"]["n"] == labels[:, 1].sum()
    assert found["by_label"]["b"]["threshold"] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert found["by_label"]["nobody"] == {"ap": None, "f1": None, "threshold": 0.5, "n": 0}


def test_scores_that_are_all_equal_are_worth_the_share_of_the_label():
    assert average_precision(np.zeros(10), np.arange(10) < 3) == pytest.approx(0.3)


def test_without_any_label_all_figures_are_zero():
    found = multilabel_metrics(np.zeros((2, 1, 1)), np.zeros((2, 1)), ("a",), np.zeros(1))
    assert (found["map"], found["micro_f1"], found["macro_f1"]) == (0, 0, 0)
