"""`ranpac`: what random features add to a linear layer, and that they are the same everywhere."""

import numpy as np
import pytest
import torch
from adapter_contract import MAPS, N_CLASSES, ClosedFormContract, every_view, make_header, trained
from safetensors import safe_open
from sklearn.linear_model import Ridge as SklearnRidge

from udta.adapters import build_adapter, save_adapter
from udta.errors import ConfigError
from udta.loader import Batch


class TestRanpac(ClosedFormContract):
    name = "ranpac"

    def test_reads_all_taps_or_the_last(self):
        assert build_adapter("ranpac", MAPS, N_CLASSES).taps_used == tuple(MAPS)
        assert build_adapter("ranpac", MAPS, N_CLASSES, taps="last").taps_used == ("last",)


def test_predicts_as_scikit_learn_does_on_the_random_features():
    samples = every_view({"last": (8,)}, images=40)
    x, labels = torch.cat([batch.taps["last"] for batch in samples]), torch.cat([batch.labels for batch in samples])
    adapter = build_adapter("ranpac", {"last": (8,)}, N_CLASSES, width=50, alpha=0.1)
    adapter.solve(samples)
    standard = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    random = (standard @ adapter.projection).relu()
    random = (random / random.std(dim=0, correction=0).mean()).numpy()
    expected = SklearnRidge(0.1 * len(x)).fit(random, np.eye(N_CLASSES)[labels]).predict(random)
    found = adapter({"last": x}).detach().numpy()
    # The fitted factor is all that differs, and multiples of one that leave probabilities as they are.
    expected -= expected.mean(1, keepdims=True)
    found -= found.mean(1, keepdims=True)
    factor = (found * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(found, factor * expected, atol=1e-3 * factor)


@pytest.mark.parametrize(("name", "right"), [("ridge", False), ("ranpac", True)])
def test_tells_apart_what_no_linear_layer_does(name, right):
    """The class is whether two features have the same sign."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 4, generator=generator)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    adapter = build_adapter(name, {"last": (4,)}, 2)
    adapter.solve([Batch({"last": x[:400]}, labels[:400], torch.arange(400))])
    accuracy = (adapter({"last": x[400:]}).argmax(1) == labels[400:]).float().mean()
    assert (accuracy > 0.85) == right


def test_the_projection_is_drawn_again_and_stands_in_no_file(tmp_path):
    adapter = trained("ranpac", MAPS)
    save_adapter(tmp_path / "adapter.safetensors", adapter, make_header(adapter))
    with safe_open(tmp_path / "adapter.safetensors", "pt") as file:
        expected = {"temperature", "adjustment", "mean", "scale", "classify.weight", "classify.bias"}
        assert set(file.keys()) == expected


def test_another_seed_is_another_projection():
    first, same, other = (build_adapter("ranpac", MAPS, N_CLASSES, seed=seed).projection for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert ((first * other).mean() * first.shape[0]).abs() < 0.05


def test_a_seed_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="seed"):
        build_adapter("ranpac", MAPS, N_CLASSES, seed=-1)


def test_fewer_samples_than_random_features_are_enough():
    samples = every_view({"last": (40,)}, images=N_CLASSES, views=4)
    adapter = build_adapter("ranpac", {"last": (40,)}, N_CLASSES)
    adapter.solve(samples)
    for batch in samples:
        assert (adapter(batch.taps).argmax(1) == batch.labels).all()
