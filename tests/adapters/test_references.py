"""The simple adapters against scikit-learn, and the closed forms against doing it the long way."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.neighbors import KNeighborsClassifier

from udta.adapters import Recipe, build_adapter
from udta.adapters._group_lasso import group_lasso
from udta.adapters.least_squares import RidgePath
from udta.adapters.standardisation import standardisation
from udta.loader import Batch
from udta.tasks.calibration import cross_entropy, fit_scale
from udta.training.loop import fit

N_CLASSES = 3


def clusters(images=60, views=3, channels=8, spread=1.5, seed=0):
    """Overlapping classes; every image in several views."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % N_CLASSES
    centres = rng.standard_normal((N_CLASSES, channels))
    first = centres[labels] + spread * rng.standard_normal((images, channels))
    x = np.repeat(first, views, axis=0) + 0.3 * rng.standard_normal((images * views, channels))
    return x.astype(np.float32) * 3 + 1, np.repeat(labels, views), np.repeat(np.arange(images), views)


def batch(x, labels, images):
    return Batch({"last": torch.from_numpy(x)}, torch.from_numpy(labels), torch.from_numpy(images))


def solved(name, data, **options):
    adapter = build_adapter(name, {"last": data[0].shape[1:]}, N_CLASSES, **options)
    adapter.solve([batch(*data)])
    return adapter.eval()


def logits_of(adapter, x):
    with torch.no_grad():
        return adapter({"last": torch.from_numpy(x)}).numpy()


# --- linear


def test_linear_finds_the_optimum_of_logistic_regression():
    """Full batches, no smoothing, no clipping, no decay: decoupled decay is no penalty, only at zero the two agree."""
    x, labels, images = clusters(spread=3.0)
    recipe = Recipe(epochs=250, batch_size=len(x), lr=0.1, weight_decay=0.0, label_smoothing=0.0, clip=float("inf"))
    adapter = build_adapter("linear", {"last": x.shape[1:]}, N_CLASSES)
    fit(adapter, [batch(x, labels, images)], recipe=recipe)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = LogisticRegression(C=np.inf, max_iter=5000, tol=1e-8).fit(standard, labels)
    np.testing.assert_allclose(
        torch.from_numpy(logits_of(adapter, x)).softmax(1), reference.predict_proba(standard), atol=5e-3
    )


# --- ridge


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 10.0])
def test_ridge_predicts_as_scikit_learn_does(alpha):
    x, labels, _ = data = clusters()
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = SklearnRidge(alpha * len(x)).fit(standard, np.eye(N_CLASSES)[labels])
    expected, found = reference.predict(standard), logits_of(solved("ridge", data, alpha=alpha), x)
    scale = (found * (expected - expected.mean(1, keepdims=True))).sum() / (
        (expected - expected.mean(1, keepdims=True)) ** 2
    ).sum()
    np.testing.assert_allclose(found, scale * expected, atol=1e-3 * scale)  # the fitted scale is all that differs
    assert (found.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1.0])
def test_predictions_of_left_out_images_equal_fits_without_them(alpha):
    """Images with one, two and three views."""
    x, labels, images = clusters(images=20)
    keep = np.ones(len(x), dtype=bool)
    keep[[0, 3, 4, 12]] = False
    x, labels, images = x[keep].astype(np.float64), labels[keep], images[keep]
    x -= x.mean(axis=0)
    y = np.eye(N_CLASSES)[labels]
    found = RidgePath(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(images)).left_out(alpha)
    for image in range(20):
        out = images == image
        # The penalty is on the mean over all samples, so it stays what it was.
        expected = SklearnRidge(alpha * len(x), solver="cholesky").fit(x[~out], y[~out]).predict(x[out])
        np.testing.assert_allclose(found[torch.from_numpy(out)], expected, atol=1e-8)


def test_ridge_shrinks_more_where_there_is_nothing_to_learn():
    x, labels, images = clusters(channels=40)
    noise = np.random.default_rng(1).permutation(len(x) // 3).repeat(3) % N_CLASSES
    learnt, nothing = solved("ridge", (x, labels, images)), solved("ridge", (x, noise, images))
    assert np.ptp(logits_of(nothing, x)) < 0.5 * np.ptp(logits_of(learnt, x))


def test_the_scale_of_scores_minimises_their_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % N_CLASSES
    scores = torch.randn(300, N_CLASSES, generator=generator) + 1.5 * torch.nn.functional.one_hot(labels)
    best = fit_scale(scores / 20, labels) / 20
    losses = [cross_entropy(best * factor * scores, labels) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


# --- knn


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("k", [1, 7])
def test_knn_predicts_as_scikit_learn_does(metric, weights, k):
    _, labels, _ = data = clusters()
    queries = clusters(seed=5)[0]
    adapter = solved("knn", data, metric=metric, weights=weights, k=k, smoothing=0.1)
    # Of the keys as they are kept: 11 bits.
    keys = adapter.keys.float().numpy() * float(adapter.scale if metric == "euclidean" else 1)
    reference = KNeighborsClassifier(k, metric=metric, weights=weights).fit(keys, labels)
    expected = 0.9 * reference.predict_proba(queries) + 0.1 / N_CLASSES
    np.testing.assert_allclose(np.exp(logits_of(adapter, queries)), expected, atol=1e-4)


def test_knn_finds_the_same_neighbours_part_by_part(monkeypatch):
    x = clusters()[0]
    adapter = solved("knn", clusters(), k=9)
    whole = logits_of(adapter, x)
    monkeypatch.setattr("udta.adapters.knn._KEYS_AT_A_TIME", 7)
    np.testing.assert_allclose(logits_of(adapter, x), whole, atol=1e-6)


def test_knn_looks_at_more_neighbours_where_classes_overlap():
    apart, mixed = clusters(spread=0.1), clusters(spread=4.0)
    assert int(solved("knn", mixed).k) > int(solved("knn", apart).k)


# --- head2toe


def test_group_lasso_is_optimal_and_finds_the_features_that_matter():
    """The conditions of optimality: gradient rows of active features point along the weights, others are within the threshold."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 30, generator=generator, dtype=torch.float64)
    y = x[:, :3] @ torch.randn(3, 4, generator=generator, dtype=torch.float64)
    y = y + 0.1 * torch.randn(400, 4, generator=generator, dtype=torch.float64)
    x, y = x - x.mean(0), y - y.mean(0)
    weights = group_lasso(x, y, 0.2, steps=2000)
    norms, moments = weights.norm(dim=1), x.T @ y / len(x)
    threshold = 0.2 * moments.norm(dim=1).max()
    assert set(norms.nonzero().flatten().tolist()) <= {0, 1, 2}
    gradient, active = moments - x.T @ x @ weights / len(x), norms > 0
    np.testing.assert_allclose(gradient[active], threshold * weights[active] / norms[active, None], atol=1e-6)
    assert (gradient[~active].norm(dim=1) <= threshold).all()


def test_head2toe_keeps_the_features_that_matter():
    x, labels, images = clusters()
    noise = np.random.default_rng(2).standard_normal((len(x), 24)).astype(np.float32)
    adapter = solved("head2toe", (np.concatenate([noise, x], axis=1), labels, images), keep=0.25, strength=0.1)
    assert (adapter.selected >= 24).float().mean() > 0.8


def test_a_feature_that_never_changes_has_scale_one():
    _, scale = standardisation(torch.tensor([[5.0, 1.0], [5.0, 3.0]]))
    assert scale.tolist() == [1.0, 1.0]
