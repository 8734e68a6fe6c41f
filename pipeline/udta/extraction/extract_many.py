"""Several stores from the same images in one go: every image is read and decoded once for all of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from udta._console.progress import Progress, announcer, watched
from udta._machine.cores import n_cores
from udta._machine.memory import freed_memory_kept
from udta._machine.process_state import left_as_found
from udta.backbones import Backbone
from udta.extraction._disk_space import check_disk_space
from udta.extraction._extract_report import ExtractReport
from udta.extraction._meter import Meter, Rows
from udta.extraction._request import make_requests
from udta.extraction.decode import SharedViews
from udta.extraction.extract import Extraction
from udta.extraction.options import PREFETCH, ExtractOptions
from udta.images import Decoder, Manifest, OnError
from udta.store import BATCH_ROWS, IfStale


@watched("rows")
def extract_many(
    images: str | Path | Manifest,
    stores: Sequence[Mapping[str, Any]],
    *,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    taps: str | None = None,
    budget: int | str | None = None,
    views: int = 1,
    dtype: str = "float16",
    codec: str = "none",
    format: str | None = None,  # noqa: A002  # the word that users type
    splits: str | Path | None = None,
    compute: str = "auto",
    device: str = "auto",
    on_error: OnError = "fail",
    seed: int = 0,
    transform: str | None = None,
    augment: str | None = None,
    window: str = "auto",
    decoder: Decoder = "pillow",
    if_stale: IfStale = "refuse",
    prune: bool = False,
    retry_skipped: bool = False,
    workers: int | None = None,
    prefetch: int = PREFETCH,
    allow_impure: bool = False,
    progress: Progress = None,  # `watched` uses it
) -> list[ExtractReport]:
    """Compute several stores of the same images at the same time; each is what `extract` would make of it alone, to the bit.

    Every image is read and decoded once, and a view that several stores have in common is made once. The stores advance
    together: the fastest is at most `prefetch` batches ahead of the slowest. When one fails all are stopped; what is committed
    stays, and the same call continues every one. One store is extracted after the other with `workers` over 1, with compiled
    code, and where processes decode for a GPU.

    Args:
        images: as for `extract`.
        stores: for each store the arguments of `extract` that are its own, at least `backbone` and `out`, such as
            `{"backbone": "resnet50", "weights": "resnet50.pth", "taps": "layer4", "out": "resnet.zarr"}`.
        backbone: a name or a `Backbone`, of the stores that do not say it themselves, as all that follows.
        weights: where its weights are; see `extract`, as for all that follows.
        taps: what is kept, such as `features.6,features.13=grid(14)`.
        budget: bytes of one view of an image that recommended taps may take.
        views: versions of each image, of which view 0 is the evaluation transform.
        dtype: how features are stored.
        codec: lossless compression.
        format: `zarr` or `hdf5`.
        splits: a CSV `path,split`.
        compute: arithmetic of the backbone.
        device: where the backbone runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, or `skip` it.
        seed: of the views and of the split rule.
        transform: replaces the backbone's evaluation transform.
        augment: the transform of views 1 and up.
        window: which values become black and white in images of more than 8 bits.
        decoder: `pillow` or `nvjpeg`.
        if_stale: `refuse` what was made from something else, or `replace` it.
        prune: remove rows of images that are not asked for any more.
        retry_skipped: try images again that an earlier run skipped.
        workers: processes.
        prefetch: batches that are decoded ahead of each backbone.
        allow_impure: extract a backbone that is no function of one image.
        progress: whether a bar is shown of the rows of all stores together, or what is called instead with what is
            counted, how many are done, of how many, and a word more; by default a bar in a notebook alone.

    Returns:
        A report for each store, in their order; seconds of reading and decoding are counted for the store that was first.

    Raises:
        ConfigError: wrong options of any store, all listed; two stores at one place.
        UdtaError: as `extract`, of the store that failed first.

    Example:
        >>> stores = [{"taps": "layer3=avg", "out": "third.zarr"}, {"taps": "layer4=avg", "out": "fourth.zarr"}]
        >>> [report.rows for report in udta.extract_many("photos", stores, backbone="resnet18", device="cpu")]
        [24, 24]
    """
    # The arguments, before there is any other local name.
    common = ExtractOptions.among(locals())
    if backbone is None:  # then every store has to name one, and is told so
        del common["backbone"]
    with ExitStack() as opened:
        opened.enter_context(freed_memory_kept(device))
        opened.enter_context(left_as_found())
        requests = make_requests(images, stores, **common)
        extractions = [opened.enter_context(Extraction(request)) for request in requests]
        # All are open before the first is computed: what has to be refused of one is, while nothing is written of any.
        check_disk_space(*(each.needed for each in extractions))
        whole, shown = Meter(), _JoinedProgress(extractions, announcer("rows"))
        if len(extractions) == 1 or not all(each.may_run_beside_others for each in extractions):
            return [each.run(shown.of(number, whole), Meter(whole)) for number, each in enumerate(extractions)]
        return _at_once(extractions, SharedViews(requests[0].manifest, prefetch * BATCH_ROWS), shown, whole)


def _at_once(
    extractions: Sequence[Extraction], shared: SharedViews, shown: _JoinedProgress, whole: Meter
) -> list[ExtractReport]:
    """A thread for each; all are ready, and know what the others need, before the first begins."""
    # Whoever comes to a row first makes the views of all that want it: all must have said what they want by then.
    readers = [each.reader(shared) for each in extractions]
    # As many passes at a time as cores, whosever they are: more would wait for the cores, and be counted as work.
    turns = threading.BoundedSemaphore(n_cores())
    meters = [Meter(whole) for _ in extractions]
    jobs = [
        each.prepare(meter, reader, turns) for each, meter, reader in zip(extractions, meters, readers, strict=True)
    ]
    whole.start()

    def run(number: int) -> ExtractReport:
        try:
            return extractions[number].run_here(jobs[number], meters[number], shown.of(number, whole))
        # However it ends: the others would wait for one that is gone to catch up.
        finally:
            readers[number].leave()

    with ThreadPoolExecutor(len(extractions), thread_name_prefix="udta-store") as pool:
        try:
            running = [pool.submit(run, number) for number in range(len(extractions))]
            for done in as_completed(running):
                done.result()
        # Ctrl-C too: without this those that are running would wait for the one that is not.
        except BaseException:
            shared.stop()
            raise
    return [done.result() for done in running]


class _JoinedProgress:
    """The rows of all stores in one display."""

    def __init__(self, extractions: Sequence[Extraction], progress: Rows | None) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self._done = [0] * len(extractions)
        self._total = sum(each.rows for each in extractions) if progress else 0

    def of(self, number: int, whole: Meter) -> Rows | None:
        """What one of the extractions calls."""
        progress = self._progress
        if progress is None:
            return None

        def show(done: int, _total: int, _note: str) -> None:
            # Called by the threads of all: a display is for one at a time, and its figures may not go back.
            with self._lock:
                self._done[number] = done
                progress(sum(self._done), self._total, str(whole))

        return show
