"""Probes: equal up to rounding or not, and what a difference is put down to."""

import numpy as np
import pytest
import torch

from udta.backbones._probing import numbers
from udta.errors import StaleStoreError
from udta.probe import Probe, check_probe

STORED = Probe({"a": (0.5, 1.0, 0.25), "b": (0.0, 2.0, -1.0)}, versions={"torch": "2.9.0", "timm": "1.0.20"})


def changed(tap, *values, **fields):
    document = STORED.to_json()
    return Probe.from_json({**document, "taps": {**document["taps"], tap: list(values)}, **fields})


def test_comes_back_from_json():
    assert Probe.from_json(STORED.to_json()) == STORED
    assert Probe.from_json({}) == Probe()
    assert not Probe()


@pytest.mark.parametrize(
    "now",
    [
        STORED,
        changed("a", 0.5004, 1.0003, 0.2497),  # rounding
        changed("a", 0.5, 1.0, 0.25, versions={"torch": "3.0"}),
        changed("a", 9.0, 9.0, 9.0, place="bfloat16 on cuda"),  # cannot be compared
        STORED.of(["b"]),
        Probe(),
    ],
)
def test_what_says_nothing(now):
    assert STORED.differences(now) == []
    assert STORED.with_more(now) == STORED


def test_what_differs_is_named_by_tap_and_with_the_versions():
    with pytest.raises(StaleStoreError) as caught:
        check_probe(STORED, changed("b", 0.0, 2.0, 1.0, versions={"torch": "2.10.0", "timm": "1.0.20"}), "s.zarr")
    code, tap, cause = caught.value.differences
    assert code.startswith("code: with the same weights")
    assert tap == "tap 'b': features of a fixed picture differ by 1 of their size"
    assert cause.endswith("or it is torch 2.9.0 then, 2.10.0 now")
    assert STORED.differences(changed("a", 0.5, 1.0, -0.25))[-1].endswith("torch, torchvision and timm are the same")


def test_features_that_are_not_finite_have_no_numbers():
    assert numbers(torch.tensor([1.0, torch.inf])) == ()
    assert STORED.differences(changed("a"))[1].startswith("tap 'a'")
    assert changed("a").differences(changed("a")) == []


def test_numbers_are_relative_to_the_size_of_the_features_and_see_every_change():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 9, 9)))
    found = np.array(numbers(values))
    np.testing.assert_allclose(numbers(1000 * values), 1000 * found, rtol=1e-6)
    assert found[1] == pytest.approx(1, rel=0.1)
    assert (np.abs(found[2:]) < 4).all()  # projections are of the size of a value
    for other in (-values, values.flip(0), values.relu(), values.roll(1, 2)):
        assert np.abs(found - numbers(other)).max() > 0.1
