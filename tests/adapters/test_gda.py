"""`gda` against its definition, against scikit-learn, and where there is little to learn from."""

import numpy as np
import pytest
import torch
from adapter_contract import MAPS, N_CLASSES, ClosedFormContract, every_view
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from udta.adapters import build_adapter
from udta.adapters.discriminant import GaussianPath
from udta.loader import Batch


class TestGda(ClosedFormContract):
    name = "gda"

    def test_reads_all_taps_or_the_last(self):
        assert build_adapter("gda", MAPS, N_CLASSES).taps_used == tuple(MAPS)
        assert build_adapter("gda", MAPS, N_CLASSES, taps="last").taps_used == ("last",)


def samples(*, channels=6, seed=0, n_classes=3):
    """Float64, of mean zero: images with one, two and three views; the last class is one image."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.arange(20).repeat_interleave(3)
    images = images[[number for number in range(60) if number not in (0, 3, 4, 12)]]
    labels = images % (n_classes - 1)
    labels[images == 7] = n_classes - 1
    centres = torch.randn(n_classes, channels, generator=generator, dtype=torch.float64)
    x = centres[labels] + torch.randn(len(images), channels, generator=generator, dtype=torch.float64)
    return x - x.mean(dim=0), labels, images


def scores_by_definition(x, labels, queries, alpha, n, n_classes):
    """Of the fit to `x`, whose scatter is divided by `n`; the mean of an absent class is zero."""
    means = torch.zeros(n_classes, x.shape[1], dtype=x.dtype)
    for label in labels.unique():
        means[label] = x[labels == label].mean(dim=0)
    within = x - means[labels]
    precision = torch.linalg.inv(within.T @ within / n + alpha * torch.eye(x.shape[1], dtype=x.dtype))
    return queries @ precision @ means.T - ((means @ precision) * means).sum(dim=1) / 2


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("channels", [6, 90])
def test_predictions_of_left_out_images_equal_fits_without_them(alpha, channels):
    """Also where there are more features than samples, and of the only image of a class."""
    x, labels, images = samples(channels=channels)
    found = GaussianPath(x, labels, images, 3).left_out(alpha)
    for image in range(20):
        out = images == image
        expected = scores_by_definition(x[~out], labels[~out], x[out], alpha, len(x), 3)
        # What all classes have in common is left out of the scores, and says nothing.
        difference = found[out] - expected
        np.testing.assert_allclose(difference - difference.mean(dim=1, keepdim=True), 0, atol=1e-7 / alpha)


def test_weights_are_those_of_the_definition():
    x, labels, images = samples()
    weights, offsets = GaussianPath(x, labels, images, 3).linear(0.1)
    expected = scores_by_definition(x, labels, x, 0.1, len(x), 3)
    np.testing.assert_allclose(x @ weights + offsets, expected, atol=1e-10)


def test_predicts_as_scikit_learn_does():
    """Without shrinkage the standardisation makes no difference. The last class has a third of the images of the others."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), [60, 60, 20]))
    apart = 0.7 * rng.standard_normal((3, 5))[labels] + rng.standard_normal((140, 5))
    x = (apart @ rng.standard_normal((5, 5)) + 1).astype(np.float32)
    adapter = build_adapter("gda", {"last": (5,)}, 3, alpha=1e-9)
    adapter.solve([Batch({"last": torch.from_numpy(x)}, torch.from_numpy(labels), torch.arange(140))])
    found = adapter({"last": torch.from_numpy(x)}).detach().numpy()
    reference = LinearDiscriminantAnalysis(solver="lsqr").fit(x, labels)
    # The fitted factor is all that differs, and the prior of one more image of each class.
    prior = np.log(np.bincount(labels) + 1.0)
    expected = reference.decision_function(x) - np.log(reference.priors_)
    centred = found - prior - (found - prior).mean(1, keepdims=True)
    expected -= expected.mean(1, keepdims=True)
    factor = (centred * expected).sum() / (expected**2).sum()
    assert 0.3 < factor < 3
    np.testing.assert_allclose(centred, factor * expected, atol=2e-3 * np.abs(expected).max())


def test_one_image_of_each_class_is_enough():
    samples = every_view({"last": (40,)}, images=N_CLASSES, views=4)
    adapter = build_adapter("gda", {"last": (40,)}, N_CLASSES)
    held_out = adapter.solve(samples)
    assert np.isfinite(held_out.loss)
    for batch in samples:
        assert (adapter(batch.taps).argmax(1) == batch.labels).all()


def test_a_class_that_no_image_is_of_is_improbable():
    samples = every_view({"last": (6,)}, images=30, n_classes=N_CLASSES - 1)
    adapter = build_adapter("gda", {"last": (6,)}, N_CLASSES)
    adapter.solve(samples)
    log_p = adapter(samples[0].taps).log_softmax(1)
    assert log_p.isfinite().all()
    assert log_p[:, -1].exp().mean() < 0.1


def test_features_that_never_change_are_no_obstacle():
    batch = every_view({"last": (6,)}, images=30)[0]
    values = torch.cat([batch.taps["last"], torch.full((len(batch.labels), 2), 7.0), batch.taps["last"]], dim=1)
    adapter = build_adapter("gda", {"last": (14,)}, N_CLASSES)
    adapter.solve([Batch({"last": values}, batch.labels, batch.rows)])
    assert all(values.isfinite().all() for values in adapter.state_dict().values())
