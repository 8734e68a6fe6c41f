"""Reducers: what they compute, in which arithmetic, and which tokens they leave out."""

import numpy as np
import pytest
import torch
from torch import nn

from udta.backbones import Backbone, InputSpec, parse_taps, resolve_taps
from udta.backbones.reducers import Reducer
from udta.errors import ConfigError


def test_reducers_compute_what_they_say():
    tokens = torch.randn(2, 17, 3)
    np.testing.assert_allclose(Reducer.parse("avg")(tokens), tokens[:, 1:].mean(1), atol=1e-6)
    assert torch.equal(Reducer.parse("cls")(tokens), tokens[:, 0])
    patches = tokens[:, 1:].transpose(1, 2).reshape(2, 3, 4, 4)
    np.testing.assert_allclose(
        Reducer.parse("grid(2)")(tokens), nn.functional.adaptive_avg_pool2d(patches, 2), atol=1e-6
    )
    channels_last = torch.randn(2, 5, 5, 3)
    assert torch.equal(Reducer.parse("none")(channels_last), channels_last.permute(0, 3, 1, 2))


def test_reduction_is_in_float32():
    values = torch.full((1, 1, 64, 64), 1.001, dtype=torch.bfloat16)
    assert Reducer.parse("avg")(values).dtype == torch.float32


class Tokens(nn.Module):
    """Two tokens (class, distillation) or four registers before 4x4 patches, as timm declares them."""

    def __init__(self, prefix, has_class=True):
        super().__init__()
        self.num_prefix_tokens, self.cls_token = prefix, 1 if has_class else None
        self.patches, self.block = nn.Conv2d(3, 5, 4, 4), nn.Linear(5, 5)

    def forward(self, pixels):
        patches = self.patches(pixels).flatten(2).transpose(1, 2)
        return self.block(nn.functional.pad(patches, (0, 0, self.num_prefix_tokens, 0)))


@pytest.mark.parametrize("prefix", [2, 5])
def test_prefix_tokens_that_a_backbone_declares_are_left_out_of_its_grid(prefix):
    torch.manual_seed(0)
    backbone = Backbone(Tokens(prefix).eval().requires_grad_(False), "test", InputSpec("resize(16,16)"))
    for asked, stored, shape in [
        ("grid(2)", f"grid(2,prefix={prefix})", (5, 2, 2)),
        ("avg", f"avg(prefix={prefix})", (5,)),
        ("tokens", f"tokens(prefix={prefix})", (16, 5)),
        ("cls", f"cls(prefix={prefix})", (5,)),
    ]:
        (spec,) = resolve_taps(backbone, parse_taps(f"block={asked}"), "float16")
        assert (spec.reducer, spec.shape) == (stored, shape)
        assert str(Reducer.parse(stored)) == stored
    values = torch.randn(2, 16 + prefix, 5)
    assert torch.equal(Reducer.parse(f"tokens(prefix={prefix})")(values), values[:, prefix:])
    (spec,) = resolve_taps(backbone, parse_taps("block=none"), "float16")
    assert (spec.reducer, spec.shape) == ("none", (16 + prefix, 5))


def test_registers_are_no_class_token():
    module = Tokens(4, has_class=False).eval().requires_grad_(False)
    with pytest.raises(ConfigError, match="has no class token; take avg"):
        resolve_taps(Backbone(module, "test", InputSpec("resize(16,16)")), parse_taps("block=cls"), "float16")
