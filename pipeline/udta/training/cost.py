"""The cost ledger of a run: what training took, what extraction had taken, and when the cache pays.

Break-even compares with the same adapter whose backbone runs live in every epoch. Assumed: a live epoch takes one view of each
training sample through reading, decoding and backbone at the rate at which the whole extraction went (its images / its seconds,
on its device, writing included), and then the adapter's own steps, which a cached epoch needs too (with its reading from the
store). The whole extraction counts as the price of the cache: every view of every sample, those of the test split as well.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from udta._machine.device import own_randomness
from udta._machine.memory import peak_memory
from udta.adapters import Adapter
from udta.store import Store

_BATCH = 8  # BatchNorm has no statistics of one sample; the figures are divided by it


@dataclass(frozen=True)
class Flops:
    """Floating point operations for one image; `backward` is 0 where nothing is trained by gradients."""

    forward: int
    backward: int


@dataclass(frozen=True)
class TrainingCost:
    """What one training took, start-up and evaluation left out.

    `seconds` is wall time, `cpu_seconds` is processor time of all threads, `peak_memory_bytes` the largest resident set of the
    process so far (files that are mapped into it and torch itself included), `peak_gpu_bytes` what torch had allocated on the
    GPU at most, 0 on a CPU. `cpu_seconds` and `bytes_read` are None where many adapters share them.
    """

    seconds: float
    cpu_seconds: float | None
    bytes_read: int | None
    peak_memory_bytes: int
    peak_gpu_bytes: int


class TrainingMeter:
    """Measures a training: made before it, asked after it; `seconds` and `cpu_seconds` were spent by earlier processes."""

    def __init__(self, device: torch.device, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._started, self._cpu_started = time.perf_counter() - seconds, time.process_time() - cpu_seconds

    def stop(self, bytes_read: int) -> TrainingCost:
        """The figures up to now."""
        # First, because it waits for what the GPU has still to do: that belongs to the seconds.
        gpu = _peak_gpu(self._device)
        seconds, cpu_seconds = time.perf_counter() - self._started, time.process_time() - self._cpu_started
        return TrainingCost(seconds, cpu_seconds, bytes_read, peak_memory(), gpu)


def shared_cost(seconds: float, device: torch.device) -> TrainingCost:
    """Of one adapter among those of one pass: its share of the time, and the peaks of them all."""
    return TrainingCost(seconds, None, None, peak_memory(), _peak_gpu(device))


def _peak_gpu(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)  # launches return before their memory is taken and their time is over
    return torch.cuda.max_memory_allocated(device)


def adapter_flops(adapter: Adapter) -> Flops:
    """Counted by torch on a batch of zeros: products of matrices and convolutions; elementwise work is not in it.

    The gradient stops at the features, so that `backward` has no product for them. A closed form has no `backward` at all.
    """
    probe = copy.deepcopy(adapter).cpu().train()  # BatchNorm would take the zeros for data
    features = {tap: torch.zeros(_BATCH, *adapter.taps[tap]) for tap in adapter.taps_used}
    with own_randomness(seed=0), FlopCounterMode(display=False) as forward:
        logits = probe(features)
    with FlopCounterMode(display=False) as backward:
        if logits.requires_grad and not adapter.closed_form:
            torch.autograd.backward(logits.sum())  # a loss has no product: whichever it is, the count is the same
    return Flops(forward.get_total_flops() // _BATCH, backward.get_total_flops() // _BATCH)


def fixed_cost(adapter: Adapter) -> dict[str, int]:
    """The part of the ledger that is the same for every training of this adapter, so that it may stand in the adapter's file."""
    flops = adapter_flops(adapter)
    return {
        "parameters": adapter.n_parameters,
        "forward_flops": flops.forward,
        "backward_flops": flops.backward,
    }


def cost_ledger(adapter: Adapter, store: Store, training: TrainingCost, *, epochs: int, samples: int) -> dict[str, Any]:
    """The whole ledger as JSON; what a store does not tell of its extraction is None.

    `forward_flops` and `backward_flops` are for one image; `extraction` is what the store tells of itself;
    `break_even_epochs` is how many epochs it takes until extraction has paid, `break_even_adapters` the same in trainings like
    this one. An epoch has `samples`, each in one view, or for a closed form in every view.
    """
    # An epoch by steps takes one view of each image, a closed form reads them all.
    images = samples * store.n_views if adapter.closed_form else samples
    return {
        **fixed_cost(adapter),
        **{f"train_{name}" if "seconds" in name else name: value for name, value in asdict(training).items()},
        "extraction": extraction_cost(store),
        **break_even(extraction_cost(store), training.seconds / epochs, images, epochs),
    }


def extraction_cost(store: Store) -> dict[str, Any]:
    """What a store tells of its extraction: `seconds`, `images` (views through the backbone), `bytes`, `device`; or {}."""
    return dict(store.extraction)


def break_even(extraction: Mapping[str, Any], cached_epoch: float, images: int, epochs: int) -> dict[str, float | None]:
    """When the cache pays, see the head of this module; `cached_epoch` in seconds for `images`, `epochs` of one training."""
    seconds, extracted = extraction.get("seconds"), extraction.get("images")
    if not seconds or not extracted:
        return {"live_epoch_seconds": None, "break_even_epochs": None, "break_even_adapters": None}
    # The steps themselves are taken in both; what a live epoch has on top is reading, decoding and the backbone.
    live_epoch = cached_epoch + images * seconds / extracted
    needed = seconds / (live_epoch - cached_epoch)
    return {
        "live_epoch_seconds": round(live_epoch, 3),
        # Rounded: figures of a machine that was shared are not known to more digits.
        "break_even_epochs": round(needed, 2),
        "break_even_adapters": round(needed / epochs, 3),
    }


def describe_cost(cost: Mapping[str, Any]) -> str:
    """One line for people."""
    memory = f"{cost['peak_memory_bytes'] / 1e6:.0f} MB of memory"
    if cost["peak_gpu_bytes"]:
        memory += f", {cost['peak_gpu_bytes'] / 1e6:.0f} MB on the GPU"
    parts = [
        f"{_million(cost['forward_flops'])} forward and {_million(cost['backward_flops'])} backward MFLOP an image",
        f"{cost['train_cpu_seconds']:.1f} CPU s",
        memory,
        f"{cost['bytes_read'] / 1e6:.0f} MB read",
    ]
    if cost["break_even_epochs"] is None:
        return f"cost: {', '.join(parts)}; extraction cost unknown"
    return (
        f"cost: {', '.join(parts)}; the cache ({cost['extraction']['seconds']:.0f} s) pays after"
        f" {cost['break_even_epochs']:.1f} epochs, {cost['break_even_adapters']:.2f} such trainings"
    )


def _million(flops: int) -> str:
    return f"{flops / 1e6:.3g}"
