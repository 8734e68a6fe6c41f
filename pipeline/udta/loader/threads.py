"""Keeping torch's own threads out of reading threads."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """In the calling thread alone, torch operations run on one core.

    Two reading threads that each start OpenMP threads of their own wait for each other at barriers: `index_select` and
    `.contiguous()` collapsed to 0.02-0.06 of the memory limit on a busy machine.
    """
    torch.get_num_threads()  # torch sets the calling thread's number at its first use; only then may it be lowered
    threadpool_limits(limits=1, user_api="openmp")
