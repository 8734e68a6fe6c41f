"""Threads do not fight for cores: batches side by side, small steps on one thread, and the caller's settings as they were."""

import os
import subprocess
import sys
import threading

import pytest
import torch

import udta
from udta._machine.cores import one_thread, side_by_side
from udta.adapters.optimiser import Optimiser

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr("udta._machine.cores.n_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_batches_are_computed_side_by_side_in_order_on_one_thread_each():
    both = threading.Barrier(2, timeout=60)  # broken unless two are at work at the same time

    def work(number):
        if number < 2:
            both.wait()
        return number, torch.get_num_threads(), torch.is_grad_enabled(), threading.get_ident()

    with torch.no_grad():
        found = list(side_by_side(work, range(20), CPU))
    assert [number for number, *_ in found] == list(range(20))
    assert {figures[1:3] for figures in found} == {(1, False)}
    assert threading.get_ident() not in {each for *_, each in found}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_what_fails_in_a_batch_fails_for_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda number: 1 // (3 - number), range(9), CPU))


@pytest.mark.usefixtures("two_threads")
def test_what_came_before_an_item_that_fails_is_not_lost_with_it():
    def items():
        yield from range(7)
        raise KeyError("eighth")

    found = []
    with pytest.raises(KeyError, match="eighth"):
        found.extend(side_by_side(str, items(), CPU))
    assert found == list("0123456")


@pytest.mark.usefixtures("two_threads")
def test_small_steps_take_one_thread_and_give_the_others_back(monkeypatch):
    with one_thread(flops=1e6):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with one_thread(flops=1e12):
        assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with one_thread():
        assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_training_steps_on_vectors_with_one_thread(toy_store, tmp_path, monkeypatch):
    seen, step = [], Optimiser.step

    def stepping(self, *arguments):
        seen.append(torch.get_num_threads())
        return step(self, *arguments)

    monkeypatch.setattr(Optimiser, "step", stepping)
    udta.train(toy_store, out=tmp_path / "udta", recipe={"epochs": 1})
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_the_command_lets_waiting_threads_sleep_unless_told_otherwise():
    code = "import sys, udta.cli; import os; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    without = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for environment, expected in (
        (without, "passive False"),
        ({**without, "OMP_WAIT_POLICY": "active"}, "active False"),
    ):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
