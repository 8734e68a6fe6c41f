"""Folding leaves alone what it would change: taps that end in between, modules with two names, weights made by hooks."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from udta.backbones._fold import fold_batchnorm


def convolution(n_in=3):
    return nn.Conv2d(n_in, 4, 3, padding=1)


def norm():
    made = nn.BatchNorm2d(4)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    return made


class Wrapped(nn.Module):
    """The convolution is in a container that ends before the BatchNorm."""

    def __init__(self):
        super().__init__()
        self.block, self.norm = nn.Sequential(nn.ReLU(), convolution()), norm()

    def forward(self, pixels):
        return self.norm(self.block(pixels))


class TwoNames(nn.Module):
    """Runs its convolution by the second of two names."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = convolution(), norm()
        self.second = self.first

    def forward(self, pixels):
        return self.norm(self.second(pixels))


class TwoUsers(nn.Module):
    """Needs the convolution's output beside that of the BatchNorm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = convolution(), norm()

    def forward(self, pixels):
        middle = self.conv(pixels)
        return self.norm(middle) + middle


class TwoRuns(nn.Module):
    """Runs one convolution before each of two BatchNorms."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm1, self.norm2 = convolution(), norm(), norm()

    def forward(self, pixels):
        return self.norm1(self.conv(pixels)) + self.norm2(self.conv(pixels * 2))


def weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, and in many a checkpoint
        return nn.Sequential(nn.utils.weight_norm(convolution()), norm())


def parametrized():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(convolution()), norm())


def without_statistics():
    return nn.Sequential(convolution(), nn.BatchNorm2d(4, track_running_stats=False))


@pytest.mark.parametrize("make", [TwoNames, TwoUsers, TwoRuns, weight_norm, parametrized, without_statistics])
def test_what_cannot_be_folded_is_left_as_it_is(make):
    torch.manual_seed(0)
    module, pixels = make().eval().requires_grad_(False), torch.randn(2, 3, 6, 6)
    expected = module(pixels)
    assert fold_batchnorm(module) == 0
    assert torch.equal(module(pixels), expected)


@pytest.mark.parametrize(("keep", "folded"), [("block", 0), ("block.1", 0), ("block.0", 1), ("norm", 1), ("bloc", 1)])
def test_a_tap_between_convolution_and_norm_keeps_its_output(keep, folded):
    torch.manual_seed(0)
    module, pixels = Wrapped().eval().requires_grad_(False), torch.randn(2, 3, 6, 6)
    tapped, expected = module.block(pixels), module(pixels)
    assert fold_batchnorm(module, keep=[keep]) == folded
    np.testing.assert_allclose(module(pixels), expected, atol=1e-5)
    assert torch.equal(module.block(pixels), tapped) == (folded == 0)


def test_a_norm_without_scale_and_a_convolution_without_bias_fold():
    torch.manual_seed(0)
    bare = nn.BatchNorm2d(4, affine=False)
    bare.running_mean.normal_()
    module = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), bare).eval().requires_grad_(False)
    pixels = torch.randn(2, 3, 6, 6)
    expected = module(pixels)
    assert fold_batchnorm(module) == 1
    np.testing.assert_allclose(module(pixels), expected, atol=1e-5)
