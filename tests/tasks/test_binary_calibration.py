import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from sklearn.metrics import f1_score

from udta.tasks.binary_calibration import best_thresholds, fit_binary_temperature, fit_logistic


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(200, 3)) < [0.5, 0.1, 0.02]).astype(np.float32)
    scores = (labels + 0.5 * rng.standard_normal((200, 3))) * [1.0, 0.03, 7.0] + [0.0, 5.0, -2.0]
    return torch.from_numpy(scores).float(), torch.from_numpy(labels)


def softened(labels):
    n = labels.sum(0)
    return np.where(labels > 0.5, (n + 1) / (n + 2), 1 / (len(labels) - n + 2))


def entropy(logits, targets):
    return (np.logaddexp(0, logits) - targets * logits).mean()


def test_each_label_gets_the_factor_and_offset_of_least_loss(case):
    scores, labels = (each.double().numpy() for each in case)
    factor, offset = fit_logistic(*case)
    for index in range(3):
        x, y = scores[:, index], softened(labels)[:, index]
        best = minimize(lambda v, x=x, y=y: entropy(v[0] * (x - x.mean()) / x.std() + v[1], y), [1.0, -1.0], tol=1e-12)
        assert entropy(float(factor[index]) * x + float(offset[index]), y) == pytest.approx(best.fun, abs=1e-6)


def test_scores_that_tell_a_label_for_certain_stay_finite():
    labels = (torch.arange(20) < 3).float()[:, None]
    factor, offset = fit_logistic(2 * labels - 5, labels)
    p = (factor * (2 * labels - 5) + offset).sigmoid()
    assert float(p[0, 0]) == pytest.approx(4 / 5, abs=1e-3)
    assert float(p[-1, 0]) == pytest.approx(1 / 19, abs=1e-3)


def test_scores_that_mislead_keep_their_order_and_say_little(case):
    scores, labels = case
    factor, offset = fit_logistic(-scores, labels)
    assert (factor > 0).all()
    assert torch.allclose((factor * -scores + offset).sigmoid().mean(0), labels.mean(0), atol=0.01)


def test_the_temperature_is_the_one_of_least_loss(case):
    scores, labels = case
    logits = 5 * (scores - scores.mean(0)) / scores.std(0)
    targets, x = softened(labels.double().numpy()), logits.double().numpy()
    best = minimize_scalar(lambda factor: entropy(factor * x, targets), bounds=(0.1, 1000), method="bounded")
    assert 1 / fit_binary_temperature(logits, labels) == pytest.approx(best.x, rel=1e-3)
    assert fit_binary_temperature(torch.zeros(3, 2), torch.zeros(3, 2)) == 1.0


def test_thresholds_are_those_of_the_largest_f1(case):
    scores, labels = case
    found = best_thresholds(scores, labels)
    for index in range(3):
        column, there = scores[:, index].numpy(), labels[:, index].numpy()
        every = [f1_score(there, column > value) for value in [*column, column.min() - 1]]
        assert f1_score(there, column > float(found[index])) == pytest.approx(max(every))


def test_no_threshold_lies_between_equal_scores_and_a_label_nobody_has_gets_zero():
    scores = torch.tensor([[3.0, 1.0], [3.0, 2.0], [3.0, 3.0], [1.0, 4.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert best_thresholds(scores, labels).tolist() == [2.0, 0.0]
