"""What a process has only one of, such as the states of global random generators: given back as it was found.

A library that reseeds, or leaves gradients off, changes the results of the program that calls it without an error anywhere. So
our own draws come from `torch.Generator`s or inside `device.own_randomness`, and code of others that may do anything, such as the
factory of a backbone, runs inside `left_as_found`. `tests/_machine/test_process_state.py` holds the whole public surface to it.
"""

# ruff: noqa: NPY002  # NumPy's global generator is what this is about

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def left_as_found(seed: int | None = None) -> Iterator[None]:
    """Afterwards, these are as they were, whatever was done to them inside.

    The global random generators of Python, NumPy and torch (of every CUDA device, if CUDA is in use already: nothing is
    initialised for it), torch's number of threads, its default dtype, gradient mode, and whether cuDNN tries algorithms out.
    With a `seed`, what is drawn from these generators inside depends on it alone.
    """
    generators = random.getstate(), np.random.get_state()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    benchmark, deterministic = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    try:
        with torch.random.fork_rng(devices=gpus):
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed)
                # Not `torch.manual_seed`: where CUDA is not in use it keeps the seed, for when it will be.
                torch.default_generator.manual_seed(seed)
                for gpu in gpus:
                    torch.cuda.default_generators[gpu].manual_seed(seed)
            yield
    finally:
        # What `fork_rng` does not know of.
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, deterministic
