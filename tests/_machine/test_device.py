"""Devices by name, and random states that are given back."""

import pytest
import torch

from udta._machine.device import own_randomness, random_states, resolve_device, set_random_states
from udta.errors import ConfigError

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("auto").type == expected


@pytest.mark.parametrize("wrong", ["cdua", "meta", "cuda:99"])
def test_what_is_not_there_is_named(wrong):
    with pytest.raises(ConfigError, match=wrong):
        resolve_device(wrong)


def test_draws_inside_depend_on_the_seed_and_are_not_seen_outside():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    drawn = []
    for seed in (0, 0, 1):
        with own_randomness(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.rand(2), expected)


def test_states_go_on_from_where_they_were_taken():
    with own_randomness(3):
        torch.rand(5)
        states = random_states(CPU)
        expected = torch.rand(5)
        set_random_states(states, CPU)
        assert torch.equal(torch.rand(5), expected)


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_has_a_state_of_its_own():
    place = torch.device("cuda")
    torch.cuda.manual_seed(7)
    expected = torch.rand(2, device=place)
    torch.cuda.manual_seed(7)
    with own_randomness(0, place):
        first = torch.rand(3, device=place)
        states = random_states(place)
        second = torch.rand(3, device=place)
        set_random_states(states, place)
        assert torch.equal(torch.rand(3, device=place), second)
    with own_randomness(0, place):
        assert torch.equal(torch.rand(3, device=place), first)
    assert torch.equal(torch.rand(2, device=place), expected)
