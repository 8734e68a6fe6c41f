"""The extraction: images in, a complete store and a report out."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch

from udta._console.interruption import IfInterrupted
from udta._console.progress import Progress, announcer, watched
from udta._machine.memory import freed_memory_kept
from udta._machine.process_state import left_as_found
from udta.backbones import Backbone
from udta.backbones.arithmetic import COMPILED
from udta.extraction._calibrate import calibrated
from udta.extraction._disk_space import check_disk_space
from udta.extraction._extract_report import ExtractReport
from udta.extraction._job import Job
from udta.extraction._meter import Meter, ProgressCounter, Rows
from udta.extraction._request import Request, make_request
from udta.extraction._work import Effort
from udta.extraction._workers import in_processes
from udta.extraction.decode import Reader, SharedViews, processes_pay
from udta.extraction.options import PREFETCH, ExtractOptions
from udta.images import Decoder, Manifest, OnError
from udta.store import IfStale, Layout, Part, StoreWriter, add_run, open_store

_LOG = logging.getLogger(__name__)
# What the same command does after an interruption, without and with committed blocks.
_CONTINUES = ("; the same command starts again", ", the same command continues")


@watched("rows")
def extract(
    images: str | Path | Manifest,
    *,
    backbone: str | Backbone,
    out: str | Path,
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
) -> ExtractReport:
    """Compute the features of every image and view that the store at `out` does not hold yet.

    A store that is there is continued where it stopped. It grows where more is asked than it has: other images (by content),
    another tap, more views; then exactly what is missing is computed, and the grown store takes the old one's place when it
    is complete. What it holds beyond what is asked, taps and views, stays; rows of images that are not asked for any more are
    removed only with `prune`.

    Args:
        images: a folder with a sub-folder per class or a flat one, a CSV/Parquet table, a `.txt` of paths, Parquet files with the
            images in them, WebDataset shards, a dataset of Hugging Face, `name:folder` of a built-in dataset, or a `Manifest`.
        backbone: a torchvision name, `package.module:factory`, or a `Backbone` that is built already.
        out: the store.
        weights: a file, `pretrained` or `pretrained@REV`, a torchvision weight enum, or `none`; by default `pretrained` where the
            backbone is named by its place on a hub, else `none`.
        taps: such as `features.6,features.13=grid(14),features.18=avg`; without them those that the store at `out` has, or the
            recommended ones of the backbone.
        budget: bytes of one view of an image that recommended taps may take, such as `300_000` or `300kB`.
        views: versions of each image: view 0 is the evaluation transform, the others are seeded augmentations.
        dtype: how features are stored: `float16`, `float32`, `bfloat16`, or `uint8` with a scale and offset per channel.
        codec: lossless compression; `none` is read fastest. Zarr: `zstd`, `gzip`; HDF5: `gzip`, `lzf`.
        format: `zarr` (for a new store by default) or `hdf5`.
        splits: a CSV `path,split`; without one a seeded stratified 70/30 rule.
        compute: arithmetic of the backbone; `auto` takes the fastest that the device does well.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, or `skip` it and record why.
        seed: of the views and of the split rule.
        transform: replaces the backbone's evaluation transform.
        augment: the transform of views 1 and up; random resized crop, flip and colour jitter by default, this last of RGB alone.
        window: which values become black and white in images of more than 8 bits: `auto` is a DICOM's own window and all of 16
            bits, `minmax` the smallest and largest value of each image, `-160:240` these values for all.
        decoder: `pillow`, or `nvjpeg`: plain JPEGs are decoded and their views are made on the GPU.
        if_stale: `refuse` a store at `out` that was made from something else, or `replace` it, also where it holds more taps or
            views.
        prune: remove rows of images that are not asked for any more; refused by default, for they may be on a disk that is not
            mounted.
        retry_skipped: try images again that an earlier run skipped, as `on_error="fail"` always does.
        workers: processes; one by default, or one for each GPU where there are several. A store that grows is written by one.
        prefetch: batches that are decoded ahead of the backbone.
        allow_impure: extract a backbone that gives something else from pass to pass or with the other images of a batch, such as
            one with `F.dropout` in its forward. The store says so, and the features cannot be computed again.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Returns:
        A report: what was computed and written, at which rate, bound by what.

    Raises:
        ConfigError: wrong options; every problem is listed.
        DataError: images, manifest or splits that cannot be used. ImageError: one image, with `on_error="fail"`.
        BackboneError: a backbone or weights that cannot be used; a backbone that is no function of one image.
        StaleStoreError: what is at `out` was made from something else, or holds images that are not asked for any more.
        NotAStoreError: it is no store. StoreBusyError: another process is writing it. StoreError: there is no room on the disk.
        FeatureError: the backbone produced NaN or infinite values.

    Example:
        >>> report = udta.extract("photos", backbone="resnet18", taps="layer4=avg", out="features.zarr", device="cpu")
        >>> udta.open_store(report.store).taps["layer4"].shape
        (512,)
    """
    # The arguments, before there is any other local name.
    options = ExtractOptions.among(locals())
    # Around everything, and before any thread starts: a factory of the user's own may reseed what it likes, and what a pass frees
    # is kept for the next (MobileNetV2 on two cores: 89 images/s, 49 without).
    with freed_memory_kept(device), left_as_found():
        request = make_request(images, **options)
        with Extraction(request) as extraction:
            # The store is open by now: what is there already needs no space.
            check_disk_space(extraction.needed)
            return extraction.run(announcer("rows"))


class Extraction:
    """A store that is open for writing, calibrated, and refused by now if it has to be; a context that closes it.

    Raises:
        ImageError: an image of the calibration cannot be used. What `StoreWriter` raises.
    """

    def __init__(self, request: Request) -> None:
        options = request.options
        # Before there is a store: its layout has the codes of uint8 taps, and nothing half made is left where an image is bad.
        # Before it takes its time, too: whoever did not name taps learns what a view costs while it can still be stopped.
        for line in request.taps_report.lines:
            _LOG.info(line)
        self._path, self._request = options.out, calibrated(request)
        self._writer = StoreWriter(
            options.out,
            self._request.layout,
            request.manifest.hashes,
            options.if_stale,
            options.format,
            prune=options.prune,
            retry_skipped=options.retries,
        )
        # The writer's own answers change while blocks are committed.
        self._missing_at_first, self._created = tuple(self._writer.missing), self._writer.is_new
        # A store that grows has one writer: what it takes over from the old one is known to that process alone.
        self.workers = 1 if self._writer.grows else options.workers or _default_workers(request.device)
        # Only then: of an error one reads what went wrong, but whoever presses Ctrl-C wants to know what it costs.
        self._interruption = IfInterrupted(self._left)

    def __enter__(self) -> Self:
        self._interruption.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interruption.__exit__(kind, error, trace)
        self._writer.close()

    @property
    def may_run_beside_others(self) -> bool:
        """Whether it runs in this process, decodes in its threads and compiles nothing."""
        request = self._request
        # Decoding processes serve one extraction, and in turn two are faster with them than at once with the threads of one
        # Python, which decode a fifth as much (16 cores, one H100).
        in_processes = processes_pay(request.device, None, len(request.manifest) * request.views.count)
        # What is compiled is compiled in its first pass, and torch's tracers change its modules for every thread.
        return self.workers == 1 and not request.compute.endswith(COMPILED) and not in_processes

    @property
    def needed(self) -> tuple[Path, Layout, int]:
        """What `check_disk_space` takes: where the store is, and how many blocks of which layout are to be written."""
        return self._path, self._writer.layout, len(self._missing_at_first)

    @property
    def rows(self) -> int:
        """How many rows there are to do; one that lacks taps and views counts for each."""
        return sum(len(part.rows) for part in self._parts())

    def reader(self, shared: SharedViews) -> Reader:
        """Its access to shared views, made before any extraction begins."""
        views = self._request.views
        kinds = {(part.views, part.taps) for part in self._parts()}
        # A store that grows by several things at once (new images and another tap) takes some rows twice and jumps between them,
        # so that it cannot keep pace by row, and nvJPEG decodes whole batches: those make their views for themselves.
        if len(kinds) != 1 or views.decoder != "pillow":
            return shared.reader(views, (), np.empty(0, int))
        return shared.reader(views, next(iter(kinds))[0], np.concatenate([part.rows for part in self._parts()]))

    def run(self, progress: Rows | None = None, meter: Meter | None = None) -> ExtractReport:
        """Compute and commit what is missing.

        Args:
            progress: called after every batch.
            meter: of this extraction.

        Raises:
            ImageError, DataError, FeatureError, StoreError, BackboneError: as `extract`.
        """
        meter = meter or Meter()
        # Processes take seconds to start, which a complete store need not wait for.
        if self.workers == 1 or not self._missing_at_first:
            return self.run_here(self.prepare(meter), meter, progress)
        counter = ProgressCounter(progress, self.rows if progress else 0, meter)
        rows = in_processes(
            self.workers,
            self._writer,
            self._request,
            prefetch=self._request.options.prefetch,
            meter=meter,
            counter=counter,
        )
        return self._report(rows, meter)

    def prepare(
        self,
        meter: Meter,
        reader: Reader | None = None,
        turns: AbstractContextManager[object] | None = None,
    ) -> Job:
        """The work in this process, ready to begin: `run_here` may run it beside those of other stores.

        Args:
            meter: of this extraction.
            reader: of views that are shared with others.
            turns: what a forward pass on a CPU takes while it computes, the same for all.
        """
        effort = Effort.on(self._request.device, self._request.options.prefetch, turns=turns)
        return Job(self._writer, self._request, effort, meter, reader)

    def run_here(self, job: Job, meter: Meter, progress: Rows | None) -> ExtractReport:
        """Run what `prepare` made, and report.

        Raises:
            ImageError, DataError, FeatureError, StoreError, BackboneError: as `extract`.
        """
        counter = ProgressCounter(progress, self.rows if progress else 0, meter)
        # Start-up is not the rate: a short run would look slow for the import of its backbone.
        meter.start()
        return self._report(job.run(self._missing_at_first, counter.add), meter)

    def _parts(self) -> list[Part]:
        return [part for block in self._missing_at_first for part in self._writer.parts(block)]

    def _report(self, computed_rows: int, meter: Meter) -> ExtractReport:
        """What is in the store now, kept beside it too."""
        tried, block_rows = set(self._missing_at_first), self._writer.layout.block_rows
        report = ExtractReport.of(
            self._request,
            open_store(self._path),
            meter,
            computed_rows=computed_rows,
            was_tried=lambda row: row // block_rows in tried,
            changes=self._writer.changes,
            workers=self.workers,
        )
        add_run(self._path, report.to_json(), anew=self._created)
        return report

    def _left(self) -> str:
        """What an interruption leaves."""
        n_blocks, grows = self._writer.layout.n_blocks, self._writer.grows
        done = n_blocks - len(self._writer.missing)
        store = f"{self._path} is as it was; of what it grows into" if grows else f"{self._path}:"
        return f"{store} {done} of {n_blocks} blocks are committed{_CONTINUES[done > 0]}"


def _default_workers(device: torch.device) -> int:
    # `cuda` means all devices, `cuda:0` one.
    all_devices = device.type == "cuda" and device.index is None
    return max(1, torch.cuda.device_count()) if all_devices else 1
