"""Contributions add up, exactly, and are what the derivation says."""

import numpy as np
import pytest
import torch

from udta.adapters import ADAPTERS, AdapterHeader, build_adapter
from udta.adapters.base import positions
from udta.adapters.covariance import matrix_sqrt
from udta.errors import AdapterError, ConfigError
from udta.explanation import contributions
from udta.fingerprint import Fingerprint, TapSpec

# A map, patches behind a class token, and the average of a map.
TAPS = (
    TapSpec("early", "grid(4)", (6, 4, 4), "float16"),
    TapSpec("middle", "none", (10, 8), "float16"),
    TapSpec("late", "avg", (5,), "float16"),
)
CLASSES = ("bird", "cat", "dog")


def trained(name, taps=TAPS, task="multiclass", **options):
    """An adapter with numbers everywhere, and its header."""
    torch.manual_seed(3)
    adapter = build_adapter(name, {tap.name: tap.shape for tap in taps}, len(CLASSES), task=task, **options).eval()
    for tensor in (*adapter.parameters(), *adapter.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand_like(tensor) + 0.2)
    fingerprint = Fingerprint({"input": {"evaluate": "resize(32,32)"}})
    return adapter, AdapterHeader(name, adapter.options, tuple(taps), CLASSES, fingerprint, task=task)


def features(taps=TAPS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {tap.name: torch.randn(tap.shape, generator=generator) for tap in taps}


def total(found):
    return (
        sum(each.sum(dtype=np.float64) for each in found.maps.values()) + sum(found.elsewhere.values()) + found.constant
    )


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("name", ["udta", "linear", "concat_linear", "head2toe"])
def test_positions_and_the_constant_add_up_to_the_answer(name, task):
    adapter, header = trained(name, task=task)
    for seed in range(3):
        given = features(seed=seed)
        answers = adapter({tap: values[None] for tap, values in given.items()})[0].tolist()
        for index, answer in enumerate(answers):
            found = contributions(adapter, header, given, index)
            assert found.answer == pytest.approx(answer, abs=1e-4)
            assert total(found) == pytest.approx(answer, abs=1e-4)


def test_maps_lie_as_the_image_does_and_the_rest_is_said_beside_them():
    found = contributions(*trained("udta"), features(), 0)
    assert {tap: each.shape for tap, each in found.maps.items()} == {"early": (4, 4), "middle": (3, 3)}
    assert list(found.elsewhere) == ["middle", "late"]  # the class token, and an average
    assert all(each.dtype == np.float32 for each in found.maps.values())


def test_an_average_has_positions_where_its_map_is_given():
    adapter, header = trained("udta")
    late = torch.randn(5, 2, 3)
    averaged = contributions(adapter, header, {**features(), "late": late.mean((1, 2))}, 1)
    found = contributions(adapter, header, {**features(), "late": late}, 1)
    assert found.maps["late"].shape == (2, 3)
    assert found.maps["late"].sum() == pytest.approx(averaged.elsewhere["late"], abs=1e-4)
    assert found.answer == pytest.approx(averaged.answer, abs=1e-4)


def test_a_position_counts_as_much_as_the_root_grows_with_it():
    """The derivative of the read-out where one centred vector is scaled, by differences in float64, with no gradient."""
    adapter, header = trained("udta", averages=False, second_order=["early"], width=4)
    given = features()
    [pool] = adapter.pools
    centred = positions(given["early"][None]).double()[0]
    centred = (centred - centred.mean(0)) @ pool.reduction.double().T
    scale = adapter.probe.standardise.running_var.double() + adapter.probe.standardise.eps
    last = slice(-pool.n_features, None)
    weights = (adapter.probe.classify.weight[2] * adapter.scale / adapter.temperature).double() / scale.sqrt()

    def read_out(factors):
        t = centred * factors[:, None]
        root = matrix_sqrt((t.T @ t / len(t))[None])[0]
        return (root.flatten()[pool.upper] * weights[last]).sum()

    step, ones = 1e-5, torch.ones(16, dtype=torch.float64)
    slopes = [(read_out(ones + step * e) - read_out(ones - step * e)) / (2 * step) for e in torch.eye(16).double()]
    baseline = (adapter.probe.mean.double() * weights)[last].sum() / 16
    found = contributions(adapter, header, given, 2).maps["early"]
    np.testing.assert_allclose(found.flatten(), (torch.stack(slopes) - baseline).detach(), atol=1e-4)


@pytest.mark.parametrize(
    ("reducer", "tokens", "grid", "elsewhere"),
    [
        ("none", 9, (3, 3), False),  # patches alone
        ("none", 13, (3, 3), True),  # a class token and three registers, which `none` does not note
        ("tokens(prefix=4)", 9, (3, 3), False),
        ("registers", 4, None, True),
    ],
)
def test_which_tokens_are_patches(reducer, tokens, grid, elsewhere):
    taps = (TapSpec("middle", reducer, (tokens, 8), "float16"), TAPS[2])
    found = contributions(*trained("udta", taps), features(taps), 0)
    assert [each.shape for each in found.maps.values()] == ([grid] if grid else [])
    assert ("middle" in found.elsewhere) == elsewhere


@pytest.mark.parametrize(
    "name", [name for name in ADAPTERS if name not in ("udta", "linear", "concat_linear", "head2toe")]
)
def test_what_does_not_add_up_is_refused(name):
    with pytest.raises(AdapterError, match=f"'{name}' says is no sum.*udta, head2toe, concat_linear, linear"):
        contributions(*trained(name), features(), 0)


def test_wrong_features_and_classes_are_named():
    adapter, header = trained("udta")
    with pytest.raises(AdapterError, match=r"'middle' is of shape \[10, 8\], these features have \[9, 8\]"):
        contributions(adapter, header, {**features(), "middle": torch.zeros(9, 8)}, 0)
    with pytest.raises(AdapterError, match="reads tap 'late'"):
        contributions(adapter, header, {"early": torch.zeros(6, 4, 4), "middle": torch.zeros(10, 8)}, 0)
    with pytest.raises(ConfigError, match="class 3 was asked for"):
        contributions(adapter, header, features(), 3)
