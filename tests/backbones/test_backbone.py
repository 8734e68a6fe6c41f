"""What a backbone is: an identity from its content, and frozen."""

import pytest
import torch
from torch import nn
from toy import ToyNet

from udta.backbones import Backbone, build_backbone
from udta.errors import BackboneError


def test_one_bit_of_one_weight_changes_the_identity():
    a, b = build_backbone("toy:net"), build_backbone("toy:net")
    assert a.fingerprint_fields() == b.fingerprint_fields()
    b.module.head.bias.view(torch.int32)[0] ^= 1
    assert a.weights != b.weights
    assert a.architecture == b.architecture != build_backbone("toy:net?width=9").architecture


def test_frozen_means_frozen():
    module = ToyNet().eval().requires_grad_(False)
    Backbone(module, "toy").check_frozen()
    module.stage1[1].train()
    with pytest.raises(BackboneError, match=r"1 module.s. in training mode .stage1\.1"):
        Backbone(module, "toy").check_frozen()
    module.eval().head.bias.requires_grad_(True)
    with pytest.raises(BackboneError, match=r"1 trainable parameter.s. .head\.bias"):
        Backbone(module, "toy").check_frozen()


def test_state_that_is_no_tensor_has_no_identity():
    class Packed(nn.Conv2d):
        def get_extra_state(self):
            return (1, 2)

    with pytest.raises(BackboneError, match="_extra_state as tuple"):
        _ = Backbone(Packed(3, 2, 1), "test").weights
