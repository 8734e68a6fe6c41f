import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from udta.tasks.regression_metrics import regression_metrics, spearman


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    labels = np.round(rng.standard_normal((50, 2)) * [1, 1000] + [0, 1e6]).astype(np.float32)
    return (labels[:, None] + rng.standard_normal((50, 3, 2)) * [1, 1000]).astype(np.float32), labels


def test_figures_are_those_of_scikit_learn_and_scipy(case):
    values, labels = case
    found = regression_metrics(values, labels, ("small", "large"))
    for suffix, said in (("", values[:, 0]), ("_views", values.mean(1))):
        assert found[f"mae{suffix}"] == pytest.approx(mean_absolute_error(labels, said), rel=1e-6)
        assert found[f"r2{suffix}"] == pytest.approx(r2_score(labels.astype(float), said.astype(float)), rel=1e-6)
        ranks = [spearmanr(labels[:, target], said[:, target]).statistic for target in range(2)]
        assert found[f"spearman{suffix}"] == pytest.approx(np.mean(ranks))
    assert found["by_target"]["large"]["mae"] == pytest.approx(mean_absolute_error(labels[:, 1], values[:, 0, 1]))


def test_a_target_that_is_the_same_everywhere_gives_numbers():
    constant = np.full((3, 1), 2.0, dtype=np.float32)
    said = np.array([2.0, 2.0, 2.5], dtype=np.float32)[:, None, None]
    assert regression_metrics(said, constant, ("a",))["by_target"]["a"] == {
        "mae": pytest.approx(1 / 6),
        "r2": 0.0,
        "spearman": 0.0,
    }
    assert regression_metrics(constant[:, None], constant, ("a",))["r2"] == 1.0
    assert spearman(np.zeros(3), np.arange(3.0)) == 0.0
