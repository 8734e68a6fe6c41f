"""Several stores from the same images in one go: every image is read and decoded once for all of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from udta._machine.cores import n_cores
from udta._machine.memory import freed_memory_kept
from udta._machine.process_state import left_as_found
from udta.extraction.counter import Progress
from udta.extraction.decode.shared import SharedViews
from udta.extraction.disk_space import check_room
from udta.extraction.job import Job
from udta.extraction.meter import Meter
from udta.extraction.options import PREFETCH, ExtractOptions
from udta.extraction.report import ExtractReport
from udta.extraction.request import make_requests
from udta.images import Manifest, OnError
from udta.store import BATCH_ROWS


def extract_many(
    images: str | Path | Manifest,
    stores: Sequence[Mapping[str, Any]],
    *,
    splits: str | Path | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    seed: int = 0,
    prune: bool = False,
    retry_skipped: bool = False,
    workers: int | None = None,
    prefetch: int = PREFETCH,
    progress: Progress | None = None,
    **common: Any,
) -> list[ExtractReport]:
    """Compute several stores of the same images at the same time; each is what `extract` would make of it alone, to the bit.

    Every image is read and decoded once, and a view that several stores have in common is made once. The stores advance
    together: the fastest is at most `prefetch` batches ahead of the slowest. When one fails all are stopped; what is committed
    stays, and the same call continues every one. One store is extracted after the other with `workers` over 1, with compiled
    code, and where processes decode for a GPU.

    Args:
        images: as for `extract`.
        stores: for each store the arguments of `extract` that are its own, at least `backbone`, `taps` and `out`, such as
            `{"backbone": "resnet50", "weights": "resnet50.pth", "taps": "layer4", "out": "resnet.zarr"}`.
        splits: as for `extract`, as all that follow; they hold for all stores.
        device: where every backbone runs.
        on_error: what an image that cannot be used does.
        seed: of the views and of the split rule.
        prune: remove rows of images that are not asked for any more.
        retry_skipped: try images again that an earlier run skipped.
        workers: processes.
        prefetch: batches that are decoded ahead of each backbone.
        progress: called after every batch with the rows of all stores together.
        **common: the same arguments as in `stores`, for those that do not give them.

    Returns:
        A report for each store, in their order; seconds of reading and decoding are counted for the store that was first.

    Raises:
        ConfigError: wrong options of any store, all listed; two stores at one place.
        UdtaError: as `extract`, of the store that failed first.
    """
    # The arguments, before there is any other local name.
    common |= ExtractOptions.among(locals())
    with ExitStack() as opened:
        opened.enter_context(freed_memory_kept(device))
        opened.enter_context(left_as_found())
        requests = make_requests(images, stores, **common)
        jobs = [opened.enter_context(Job(request)) for request in requests]
        check_room(*(job.room for job in jobs))
        whole, shown = Meter(), _JoinedProgress(jobs, progress)
        if len(jobs) == 1 or not all(job.may_run_beside_others for job in jobs):
            return [job.run(shown.of(number, whole), Meter(whole)) for number, job in enumerate(jobs)]
        return _at_once(jobs, SharedViews(requests[0].manifest, prefetch * BATCH_ROWS), shown, whole)


def _at_once(jobs: Sequence[Job], shared: SharedViews, shown: _JoinedProgress, whole: Meter) -> list[ExtractReport]:
    """A thread for each job; all are ready, and know what the others need, before the first begins."""
    readers = [job.reader(shared) for job in jobs]
    # As many passes at a time as cores, whosever they are: more would wait for the cores, and be counted as work.
    turns = threading.BoundedSemaphore(n_cores())
    runs = [
        job.prepare(shown.of(number, whole), Meter(whole), reader, turns)
        for number, (job, reader) in enumerate(zip(jobs, readers, strict=True))
    ]
    whole.start()

    def run(number: int) -> ExtractReport:
        try:
            return runs[number]()
        finally:
            readers[number].leave()

    with ThreadPoolExecutor(len(jobs), thread_name_prefix="udta-store") as pool:
        try:
            running = [pool.submit(run, number) for number in range(len(jobs))]
            for done in as_completed(running):
                done.result()
        except BaseException:  # Ctrl-C too; without this those that are running would wait for the one that is not
            shared.stop()
            raise
    return [done.result() for done in running]


class _JoinedProgress:
    """The rows of all jobs in one display."""

    def __init__(self, jobs: Sequence[Job], progress: Progress | None) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self._done = [0] * len(jobs)
        self._total = sum(job.rows for job in jobs) if progress else 0

    def of(self, number: int, whole: Meter) -> Progress | None:
        """What one job calls."""
        progress = self._progress
        if progress is None:
            return None

        def show(done: int, _total: int, _note: str) -> None:
            with self._lock:
                self._done[number] = done
                progress(sum(self._done), self._total, str(whole))

        return show
