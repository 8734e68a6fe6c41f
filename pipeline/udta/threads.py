"""How many cores there are for us, and keeping torch's own threads out of our threads."""

from __future__ import annotations

import os

import torch
from threadpoolctl import threadpool_limits


def n_cores() -> int:
    """Cores that this process may use; fewer than the machine has inside a container, under taskset or a scheduler."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread_each() -> None:
    """In the calling thread alone, torch operations run on one core.

    Two reading threads that each start OpenMP threads of their own wait for each other at barriers: `index_select` and
    `.contiguous()` collapsed to 0.02-0.06 of the memory limit on a busy machine.
    """
    torch.get_num_threads()  # torch sets the calling thread's number at its first use; only then may it be lowered
    threadpool_limits(limits=1, user_api="openmp")
