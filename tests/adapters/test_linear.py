"""The gain of a linear probe on few features."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from udta.adapters import build_adapter
from udta.adapters.linear import LinearProbe, narrow_gain


@pytest.mark.parametrize(
    ("channels", "gain"), [(2048, 1.0), (1280, 1.0), (640, 2.0), (192, 1280 / 192), (64, 8.0), (2, 8.0)]
)
def test_few_features_are_multiplied_and_many_are_not(channels, gain):
    assert narrow_gain(channels) == pytest.approx(gain)
    assert build_adapter("linear", {"last": (channels,)}, 3).probe.gain == pytest.approx(gain)
    # All taps count where all are read.
    assert build_adapter("concat_linear", {"a": (channels // 2 + 1, 4, 4), "b": (channels // 2,)}, 3).probe.gain == (
        narrow_gain(2 * (channels // 2) + 1)
    )


def test_a_gain_is_that_much_learning_rate_and_less_weight_decay():
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(64, 5, generator=generator), torch.randint(3, (64,), generator=generator)
    logits = []
    for gain, factor in ((4.0, 1.0), (1.0, 4.0)):
        probe = LinearProbe(5, 3, gain)
        groups = [
            {"params": [probe.classify.weight], "lr": 0.01 * factor, "weight_decay": 2.0 / factor},
            {"params": [probe.classify.bias], "lr": 0.01, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, eps=1e-12)  # which alone knows how large a gradient is
        for _ in range(20):
            optimiser.zero_grad()
            cross_entropy(probe(x), labels).backward()
            optimiser.step()
        logits.append(probe(x).detach())
    assert logits[0].abs().max() > 0.1
    torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-4)
