"""What every adapter promises. A test module of one adapter inherits `AdapterContract`."""

import numpy as np
import pytest
import torch

from udta.adapters import build_adapter
from udta.errors import AdapterError, ConfigError

MAPS = {"early": (6, 5, 5), "middle": (8, 3, 3), "last": (10,)}
TOKENS = {"block1": (9, 6), "block2": (9, 6)}
VECTORS = {"a": (4,), "b": (7,)}
N_CLASSES = 5


def features(taps, batch=6, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {tap: torch.randn(batch, *shape, generator=generator).to(dtype) for tap, shape in taps.items()}


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

    def test_every_class_gets_a_gradient_from_the_first_step(self):
        adapter = build_adapter(self.name, MAPS, N_CLASSES)
        torch.nn.functional.cross_entropy(adapter(features(MAPS)), torch.arange(6) % N_CLASSES).backward()
        assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in adapter.parameters())

    def test_sends_no_gradient_into_the_features(self):
        adapter = build_adapter(self.name, MAPS, N_CLASSES)
        inputs = {tap: values.requires_grad_() for tap, values in features(MAPS).items()}
        adapter(inputs).sum().backward()
        assert all(values.grad is None for values in inputs.values())

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

    def test_is_rebuilt_from_its_options(self):
        adapter = trained(self.name, MAPS)
        again = build_adapter(self.name, MAPS, N_CLASSES, **adapter.options)
        again.load_state_dict(adapter.state_dict())
        assert torch.equal(again.eval()(features(MAPS)), adapter(features(MAPS)))

    def test_says_everything_that_is_wrong(self):
        with pytest.raises(ConfigError) as caught:
            build_adapter(self.name, {"a": (0, 3)}, 1, widht=3)
        assert len(caught.value.problems) == 3
        assert "widht" in str(caught.value)


def trained(name, taps, steps=5):
    torch.manual_seed(0)
    adapter = build_adapter(name, taps, N_CLASSES)
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
    for step in range(steps):
        loss = torch.nn.functional.cross_entropy(adapter(features(taps, 12, seed=step)), torch.arange(12) % N_CLASSES)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return adapter.eval()
