"""How many cores there are for us, and keeping torch's own threads from fighting for them.

An operation of torch that is shared out among OpenMP threads ends when the last of them is done, and by default the others wait
for it in a loop that keeps their cores busy. Where a core has other work to do as well, that last one is not even running: a
training of 450 photographs in 8 views took 63 s of processor time on two busy cores with two threads, and 9 s with one. So work
is shared out by batches where it can be, which wait for nobody, and small operations in a row take one thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")
# Floating point operations of a step that one core does in about 10 ms.
_SMALL = 3e8


def n_cores() -> int:
    """Cores that this process may use; fewer than the machine has inside a container, under taskset or a scheduler."""
    # macOS and Windows have no affinity to ask for.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread_each() -> None:
    """In the calling thread alone, torch operations run on one core.

    Two reading threads that each start OpenMP threads of their own wait for each other at barriers: `index_select` and
    `.contiguous()` collapsed to 0.02-0.06 of the memory limit on a busy machine.
    """
    torch.get_num_threads()  # torch sets the calling thread's number at its first use; only then may it be lowered
    threadpool_limits(limits=1, user_api="openmp")


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> Iterator[Result]:
    """`function` of every item, in their order; on a CPU as many at a time as torch may use threads, each on one of them.

    What it gives does not depend on how many there are. The gradient mode inside is that of the caller. An error of `items` comes
    after what was begun before it.
    """
    n_threads = 1 if device.type == "cuda" else min(n_cores(), torch.get_num_threads())
    if n_threads == 1:
        yield from map(function, items)
        return
    # Both are per thread, and a new thread begins with gradients on.
    with_gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def call(item: Item) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(with_gradients and not inference):
            return function(item)

    with ThreadPoolExecutor(n_threads, "udta-batch", initializer=one_thread_each) as pool:
        waiting, given, failed = deque[Future[Result]](), iter(items), None
        try:
            while failed is None:
                try:
                    waiting.append(pool.submit(call, next(given)))
                except StopIteration:
                    break
                except Exception as error:
                    failed = error
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if failed is not None:
                raise failed
        finally:
            # Somebody stopped, or one of them raised.
            for future in waiting:
                future.cancel()


@contextmanager
def one_thread(flops: float = 0) -> Iterator[None]:
    """Inside, torch takes one thread: for a row of operations that are small, as in a training step of so many `flops` in all.

    Larger ones, and where threads that wait are told to sleep (OMP_WAIT_POLICY=passive, as in our command), take what there are.
    """
    before = torch.get_num_threads()
    if before == 1 or flops > _SMALL or os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive":
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
