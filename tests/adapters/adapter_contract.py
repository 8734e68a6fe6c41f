"""What every adapter promises. The tests of one inherit `TrainedContract` or, for a closed form, `ClosedFormContract`."""

import numpy as np
import pytest
import torch

from udta.adapters import AdapterHeader, PooledAdapter, build_adapter, load_adapter, save_adapter
from udta.errors import AdapterError, ConfigError
from udta.fingerprint import Fingerprint, TapSpec
from udta.loader import Batch

MAPS = {"early": (6, 5, 5), "middle": (8, 3, 3), "last": (10,)}
TOKENS = {"block1": (9, 6), "block2": (9, 6)}
VECTORS = {"a": (4,), "b": (7,)}
N_CLASSES = 5


def features(taps, batch=6, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {tap: torch.randn(batch, *shape, generator=generator).to(dtype) for tap, shape in taps.items()}


def every_view(taps, images=12, views=2, seed=0, n_classes=N_CLASSES):
    """Two batches, in which every image comes in several views that differ by some noise."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(images).repeat_interleave(views)
    values = {
        tap: torch.randn(images, *shape, generator=generator).repeat_interleave(views, dim=0)
        + 0.1 * torch.randn(images * views, *shape, generator=generator)
        for tap, shape in taps.items()
    }
    half = images // 2 * views
    parts = (slice(0, half), slice(half, None))
    return [Batch({t: v[part] for t, v in values.items()}, rows[part] % n_classes, rows[part]) for part in parts]


class AdapterContract:
    """Set `name`."""

    name: str

    @pytest.mark.parametrize("taps", [MAPS, TOKENS, VECTORS, {"only": (4, 3, 3)}, {"only": (4,)}])
    def test_reads_maps_tokens_and_vectors_and_starts_at_uniform_logits(self, taps):
        adapter = build_adapter(self.name, taps, N_CLASSES)
        logits = adapter(features(taps))
        assert logits.shape == (6, N_CLASSES)
        assert logits.dtype == torch.float32
        assert (logits == 0).all()

    @pytest.mark.parametrize("taps", [MAPS, TOKENS, VECTORS, {"only": (4, 3, 3)}, {"only": (4,)}])
    def test_learns_from_maps_tokens_and_vectors(self, taps):
        adapter = trained(self.name, taps, steps=15)
        batch = every_view(taps)[0]
        assert (adapter(batch.taps).argmax(1) == batch.labels).float().mean() > 1.5 / N_CLASSES

    def test_sends_no_gradient_into_the_features(self):
        adapter = trained(self.name, MAPS)
        inputs = {tap: values.requires_grad_() for tap, values in features(MAPS).items()}
        logits = adapter(inputs)
        if logits.requires_grad:
            logits.square().sum().backward()
        assert all(values.grad is None for values in inputs.values())

    def test_the_same_seed_gives_the_same_adapter(self):
        first, second = trained(self.name, MAPS).state_dict(), trained(self.name, MAPS).state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first)

    @pytest.mark.parametrize("n_classes", [0, 1])
    def test_fewer_than_two_classes_are_refused(self, n_classes):
        with pytest.raises(ConfigError, match="at least two"):
            build_adapter(self.name, MAPS, n_classes)

    def test_comes_back_from_its_file(self, tmp_path):
        adapter = trained(self.name, MAPS)
        save_adapter(tmp_path / "adapter.safetensors", adapter, make_header(adapter))
        loaded, header = load_adapter(tmp_path)
        assert header.adapter == self.name
        assert torch.equal(loaded(features(MAPS)), adapter(features(MAPS)))

    def test_float16_features_give_nearly_the_same_logits(self):
        adapter = trained(self.name, MAPS)
        full, half = adapter(features(MAPS)), adapter(features(MAPS, dtype=torch.float16))
        np.testing.assert_allclose(half.detach(), full.detach(), atol=5e-2)

    def test_reads_the_taps_it_says_and_no_other(self):
        adapter = trained(self.name, MAPS)
        inputs = features(MAPS)
        expected = adapter(inputs)
        unused = {tap: values * 100 for tap, values in inputs.items() if tap not in adapter.taps_used}
        assert torch.equal(adapter({**inputs, **unused}), expected)
        for tap in adapter.taps_used:
            with pytest.raises(AdapterError, match=f"reads tap '{tap}'"):
                adapter({name: values for name, values in inputs.items() if name != tap})

    def test_a_tap_of_another_shape_is_refused(self):
        adapter = build_adapter(self.name, MAPS, N_CLASSES)
        with pytest.raises(AdapterError, match=r"'last' of shape \[10\]"):
            adapter({**features(MAPS), "last": torch.zeros(6, 11)})

    def test_a_sample_does_not_depend_on_the_others_once_trained(self):
        adapter, inputs = trained(self.name, MAPS), features(MAPS)
        alone = torch.cat([adapter({tap: values[row : row + 1] for tap, values in inputs.items()}) for row in range(6)])
        np.testing.assert_allclose(alone.detach(), adapter(inputs).detach(), atol=1e-5)

    def test_vectors_that_are_computed_once_give_the_same_logits(self):
        """In training and in evaluation, whatever batch a sample was pooled in."""
        adapter, inputs = trained(self.name, MAPS), features(MAPS)
        if not isinstance(adapter, PooledAdapter):
            pytest.skip("has no vectors")
        alone = [adapter.pool({tap: v[row : row + 1] for tap, v in inputs.items()}) for row in range(6)]
        assert not any(vectors.requires_grad for vectors in alone)
        for mode in (True, False):
            adapter.train(mode)
            expected = adapter(inputs).detach()
            np.testing.assert_allclose(adapter.classify(torch.cat(alone)).detach(), expected, atol=1e-4)

    def test_is_rebuilt_from_its_options(self):
        adapter = trained(self.name, MAPS)
        again = build_adapter(self.name, MAPS, N_CLASSES, **adapter.options)
        assert again.options == adapter.options
        again.load_state_dict(adapter.state_dict())
        assert torch.equal(again.eval()(features(MAPS)), adapter(features(MAPS)))

    def test_says_everything_that_is_wrong(self):
        with pytest.raises(ConfigError) as caught:
            build_adapter(self.name, {"a": (0, 3)}, 1, widht=3)
        assert len(caught.value.problems) == 3
        assert "widht" in str(caught.value)


class TrainedContract(AdapterContract):
    """An adapter that is trained by gradient steps."""

    def test_every_class_gets_a_gradient_from_the_first_step(self):
        adapter = build_adapter(self.name, MAPS, N_CLASSES)
        torch.nn.functional.cross_entropy(adapter(features(MAPS)), torch.arange(6) % N_CLASSES).backward()
        assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in adapter.parameters())


class ClosedFormContract(AdapterContract):
    """An adapter that is trained by `solve` alone."""

    def test_has_no_recipe_to_change(self):
        with pytest.raises(ConfigError, match="closed form: it has no epochs, lr"):
            type(build_adapter(self.name, MAPS, N_CLASSES)).recipe_with({"epochs": 3, "lr": 1.0})

    def test_nothing_to_learn_from_is_an_error(self):
        with pytest.raises(AdapterError, match="there is none"):
            build_adapter(self.name, MAPS, N_CLASSES).solve([])

    def test_the_order_of_images_does_not_matter(self):
        first, second = (build_adapter(self.name, MAPS, N_CLASSES) for _ in range(2))
        first.solve(every_view(MAPS))
        second.solve(reversed(every_view(MAPS)))
        np.testing.assert_allclose(second(features(MAPS)).detach(), first(features(MAPS)).detach(), atol=1e-5)

    def test_the_views_of_an_image_do_not_give_each_other_away(self):
        """Labels that have nothing to do with the images: whoever saw another view of a left-out image would know its label."""
        taps = {"last": (8,)}
        held_out = build_adapter(self.name, taps, 2).solve(every_view(taps, images=200, views=4, n_classes=2))
        assert held_out.accuracy < 0.65
        assert held_out.loss > 0.6

    def test_logits_are_calibrated(self):
        """Classes that overlap: the mean probability of the predicted class is close to how often it is right."""
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(1200) % 3
        values = torch.randn(1200, 6, generator=generator)
        values[torch.arange(1200), labels] += 1.0
        adapter = build_adapter(self.name, {"last": (6,)}, 3)
        adapter.solve([Batch({"last": values[:600]}, labels[:600], torch.arange(600))])
        confidence, predicted = adapter.eval()({"last": values[600:]}).softmax(1).max(1)
        accuracy = (predicted == labels[600:]).float().mean()
        assert accuracy > 0.5
        assert abs(confidence.mean() - accuracy) < 0.08


def make_header(adapter):
    taps = tuple(TapSpec(tap, "avg", MAPS[tap], "float16") for tap in adapter.taps_used)
    return AdapterHeader(adapter.name, adapter.options, taps, tuple("abcde"), Fingerprint({"feature_version": 1}))


def trained(name, taps, steps=5):
    torch.manual_seed(0)
    adapter = build_adapter(name, taps, N_CLASSES)
    samples = every_view(taps)
    if adapter.solve(samples) is None:
        optimiser = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
        for step in range(steps):
            batch = samples[step % 2]
            loss = torch.nn.functional.cross_entropy(adapter(batch.taps), batch.labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return adapter.eval()
