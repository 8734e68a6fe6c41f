"""The cost ledger: counted operations against closed formulas, break-even against arithmetic, and stores that do not tell."""

import json

import pytest
import torch

import udta
from udta.adapters import ADAPTERS, build_adapter
from udta.training.cost import Flops, TrainingMeter, adapter_flops, break_even, describe_cost

TAPS = {"middle": (6, 5, 5), "last": (10,)}


def test_linear_costs_one_product_forward_and_one_backward():
    """2 C K forward; backward the same for the weight and, because no gradient goes to the features, nothing else."""
    assert adapter_flops(build_adapter("linear", TAPS, 7)) == Flops(forward=2 * 10 * 7, backward=2 * 10 * 7)


def test_concat_linear_counts_all_taps():
    assert adapter_flops(build_adapter("concat_linear", TAPS, 7)) == Flops(2 * 16 * 7, 2 * 16 * 7)


def test_udta_costs_the_linear_layer_backward_and_the_pool_forward():
    """C = 6, P = 25, k = 6: thinning, covariance, 12 products of the root; then averages, triangle to 7 classes."""
    head = 2 * (6 + 10 + 21) * 7
    pool = 2 * 6 * 6 * 25 + 2 * 6 * 6 * 25 + 12 * 2 * 6**3
    assert adapter_flops(build_adapter("udta", TAPS, 7, width=6)) == Flops(pool + head, head)


def test_counting_leaves_the_adapter_alone():
    adapter = build_adapter("udta", TAPS, 7).eval()
    before = {name: value.clone() for name, value in adapter.state_dict().items()}
    adapter_flops(adapter)
    assert all(torch.equal(value, before[name]) for name, value in adapter.state_dict().items())
    assert all(parameter.grad is None for parameter in adapter.parameters())
    assert not adapter.training


def test_what_is_not_trained_by_gradients_has_no_backward():
    adapter = build_adapter("linear", TAPS, 7).requires_grad_(False)
    assert adapter_flops(adapter).backward == 0


@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_every_run_has_a_ledger(toy_store, tmp_path, adapter):
    recipe = {} if ADAPTERS[adapter].closed_form else {"epochs": 2, "batch_size": 8}
    udta.train(toy_store, out=tmp_path / "run", adapter=adapter, recipe=recipe)
    cost = json.loads((tmp_path / "run" / "metrics.json").read_text())["cost"]
    assert cost["train_seconds"] > 0
    assert cost["bytes_read"] > 0
    assert cost["peak_memory_bytes"] > 50e6  # torch alone takes more
    assert cost["peak_gpu_bytes"] == 0
    assert (cost["extraction"], cost["break_even_epochs"]) == ({}, None) or cost["break_even_epochs"] > 0
    _, header = udta.adapters.load_adapter(tmp_path / "run")
    fixed = header.training["cost"]
    assert fixed == {name: cost[name] for name in fixed}
    assert fixed.keys() == {"parameters", "forward_flops", "backward_flops"}


@pytest.mark.parametrize("epochs", [3, 7])
def test_what_is_pooled_is_read_once_in_every_view(toy_store, tmp_path, epochs):
    store = udta.open_store(toy_store)
    report = udta.train(store, out=tmp_path / "run", adapter="linear", recipe={"epochs": epochs, "batch_size": 8})
    assert report.cost["bytes_read"] == 2 * len(store.rows("train")) * 16 * 2  # stage2=avg, float16


@pytest.mark.parametrize(("adapter", "recipe"), [("linear", {"mixup": 0.2}), ("ladder", {})])
def test_what_is_not_is_read_in_one_view_an_epoch(toy_store, tmp_path, adapter, recipe):
    store = udta.open_store(toy_store)
    report = udta.train(store, out=tmp_path / "run", adapter=adapter, recipe={"epochs": 3, "batch_size": 8, **recipe})
    values = 16 + (8 * 4 * 4 if adapter == "ladder" else 0)
    epochs = 3 + 1  # a quarter of three, rounded up, for the temperature
    assert report.cost["bytes_read"] == epochs * len(store.rows("train")) * values * 2


def test_break_even_is_the_extraction_against_one_view_of_every_sample_an_epoch():
    """100 images a second: 50 samples take half a second in each live epoch, so 8 s of extraction pay after 16 epochs."""
    found = break_even({"seconds": 8.0, "images": 800}, cached_epoch=0.25, images=50, epochs=40)
    assert found == {"live_epoch_seconds": 0.75, "break_even_epochs": 16.0, "break_even_adapters": 0.4}


@pytest.mark.parametrize("extraction", [{}, {"seconds": 3.0}, {"images": 9}, {"seconds": 0.0, "images": 0}])
def test_a_store_that_does_not_tell_gives_unknown(extraction):
    assert set(break_even(extraction, 0.25, 50, 40).values()) == {None}


def test_the_line_for_people():
    cost = {
        "forward_flops": 1_234_000,
        "backward_flops": 0,
        "train_cpu_seconds": 2.5,
        "peak_memory_bytes": 600_000_000,
        "peak_gpu_bytes": 0,
        "bytes_read": 12_000_000,
        "extraction": {"seconds": 8.0, "images": 800},
        "break_even_epochs": 16.0,
        "break_even_adapters": 0.4,
    }
    line = describe_cost(cost)
    assert "1.23 forward and 0 backward MFLOP" in line
    assert "(8 s) pays after 16.0 epochs, 0.40 such trainings" in line
    assert "GPU" not in line
    unknown = {**cost, "extraction": {}, "break_even_epochs": None, "peak_gpu_bytes": 3_000_000}
    assert describe_cost(unknown).endswith("3 MB on the GPU, 12 MB read; extraction cost unknown")


def test_the_meter_adds_what_earlier_processes_spent():
    cost = TrainingMeter(torch.device("cpu"), seconds=100.0, cpu_seconds=50.0).stop(bytes_read=7)
    assert 100 < cost.seconds < 110
    assert 50 < cost.cpu_seconds < 60
    assert (cost.bytes_read, cost.peak_gpu_bytes) == (7, 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_memory_of_a_gpu_is_measured(toy_store, tmp_path):
    report = udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 1}, device="cuda")
    assert report.cost["peak_gpu_bytes"] > 0
