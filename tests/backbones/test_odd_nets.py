"""What plain torch runs is extracted with the values of plain hooks, or refused in one sentence that names the module."""

import numpy as np
import odd_nets
import pytest
import torch
from odd_nets import backbone

from udta.backbones import (
    TapForward,
    build_backbone,
    check_pure,
    fitting_memory_format,
    list_taps,
    parse_taps,
    probe_backbone,
    resolve_taps,
)
from udta.backbones.reducers import Reducer
from udta.errors import BackboneError, ConfigError

CPU = torch.device("cpu")


def images(count=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 16, 16), generator=generator).to(torch.uint8)


def plain(made, names):
    """What hooks see on the module as it is."""
    outputs = {}
    hooks = [
        made.module.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: outputs.update({name: out.clone()})
        )
        for name in names
    ]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (made.input.mean, made.input.std))
    with torch.no_grad():
        made.module((images() / 255 - mean) / std)
    for hook in hooks:
        hook.remove()
    return outputs


def prepared(made, taps, compute="float32"):
    """As an extraction prepares it."""
    specs = resolve_taps(made, parse_taps(taps), "float32")
    check_pure(made, specs, compute, CPU, allowed=False)
    chosen = fitting_memory_format(made, specs, compute, CPU, probe_backbone(made, specs, compute, CPU))
    return specs, chosen, TapForward(made, specs, compute, CPU, memory_format=chosen)


@pytest.mark.parametrize(
    ("kind", "taps", "memory_format"),
    [
        ("Net", "stage1,stage2,head", "channels_last"),
        ("View", "stage1,stage2,head", "contiguous"),
        ("View", "stage1", "channels_last"),  # ends before the view
        ("Strides", "stage1,stage2,head", "contiguous"),
        ("OldWeightNorm", "stage1,stage2,head", "channels_last"),
        ("Parametrized", "stage1,stage2,head", "channels_last"),
        ("Conv3d", "stage1,stage2,head", "channels_last"),
        ("Tied", "first,stage1,stage2", "channels_last"),
        ("Dictionary", "both.inner,stage2,head", "channels_last"),
        ("Twice", "stage1,stage2,head", "channels_last"),
        ("InPlace", "stage1,stage2,head", "channels_last"),
        ("Dropout", "stage1", "channels_last"),  # ends before it
        ("BatchStatistics", "stage1", "channels_last"),
        ("FirstCall", "stage1,stage2,head", "channels_last"),
        ("Autocast", "stage1,stage2,head", "channels_last"),
    ],
)
@pytest.mark.parametrize("after_a_pass", [False, True])
def test_features_are_those_of_plain_hooks(kind, taps, memory_format, after_a_pass):
    made = backbone(getattr(odd_nets, kind))
    if after_a_pass:
        plain(made, ())
    specs, chosen, run = prepared(made, taps)
    assert chosen == memory_format
    found, expected = run(images()), plain(made, [spec.name for spec in specs])
    for spec in specs:
        reference = Reducer.parse(spec.reducer)(expected[spec.name])
        assert float(reference.abs().max()) > 0
        np.testing.assert_allclose(found[spec.name], reference, atol=1e-4 * float(reference.abs().max()))


@pytest.mark.parametrize(
    ("kind", "taps", "error", "message"),
    [
        ("Dictionary", "both", ConfigError, "'both' does not return one tensor"),
        ("Twice", "again", ConfigError, "'again' runs 2 times"),
        ("Twice", "again.0", ConfigError, r"'again\.0' runs 2 times"),
        ("Dropout", "stage2", BackboneError, r"in its own forward \(Dropout\)\. .*--allow-impure"),
        ("BatchStatistics", "head", BackboneError, r"in 'stage2\.1' \(BatchNorm2d\)\. .*running statistics"),
        ("Uncopyable", "stage1", BackboneError, "cannot be copied"),
    ],
)
def test_what_cannot_be_extracted_is_refused_by_name(kind, taps, error, message):
    with pytest.raises(error, match=message):
        prepared(backbone(getattr(odd_nets, kind)), taps)


def test_lazy_parameters_are_named():
    with pytest.raises(BackboneError, match=r"2 lazy parameter.* such as head\.weight"):
        build_backbone("odd_nets:Lazy")


def test_an_arithmetic_that_fails_is_named_with_its_module_and_the_one_that_does_not():
    class Mixed(odd_nets.Net):
        def forward(self, x):
            return self.head(self.stage2(self.stage1(x)).mean((2, 3)).float())

    with pytest.raises(
        BackboneError, match=r"fails in bfloat16 on cpu, in module 'head' \(Linear\).*; it runs with --compute float32"
    ):
        prepared(backbone(Mixed), "head", "bfloat16")


@pytest.mark.parametrize("kind", ["FirstCall", "OldWeightNorm"])
def test_looking_at_a_backbone_leaves_it_as_it_was(kind):
    made = backbone(getattr(odd_nets, kind))
    before = made.fingerprint_fields()
    list_taps(made)
    prepared(made, "stage2")
    assert made.fingerprint_fields() == before
    assert all(not tensor.is_inference() for tensor in made.module.state_dict().values())


def test_features_that_are_not_finite_are_no_impurity():
    class Overflow(odd_nets.Net):
        def forward(self, x):
            return self.stage2(self.stage1(x) / 0)

    made = backbone(Overflow)
    specs = resolve_taps(made, parse_taps("stage2"), "float32")
    assert check_pure(made, specs, "float32", CPU, allowed=False) == ()
    assert probe_backbone(made, specs, "float32", CPU).taps == {"stage2": ()}


def test_the_modules_that_are_impure_are_allowed_by_name():
    made = backbone(odd_nets.Dropout)
    specs = resolve_taps(made, parse_taps("stage1,stage2"), "float32")
    assert check_pure(made, specs, "float32", CPU, allowed=True) == ("its own forward (Dropout)",)
