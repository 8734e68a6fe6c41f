"""The extraction of one store, in steps: opened, so that everything that can be refused is, then run to its report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch

from udta.backbones.compute import COMPILED
from udta.extraction._workers import in_processes
from udta.extraction.calibrate import calibrate
from udta.extraction.commit import Effort, prepare_blocks
from udta.extraction.counter import Counter, Progress
from udta.extraction.decode.makers import processes_pay
from udta.extraction.decode.shared import Reader, SharedViews
from udta.extraction.meter import Meter
from udta.extraction.report import ExtractReport, stored_bytes
from udta.extraction.request import Request
from udta.store import Layout, Part, StoreWriter, add_run, known_layout, open_store

# What the same command does after an interruption, without and with committed blocks.
_CONTINUES = ("; the same command starts again", ", the same command continues")


class Job:
    """A store that is open for writing; a context that closes it.

    Raises:
        ImageError: an image of the calibration cannot be used. What `StoreWriter` raises.
    """

    def __init__(self, request: Request) -> None:
        options = request.options
        self._path, self._options = options.out, options
        self._setup = calibrated(request)
        self._writer = StoreWriter(
            options.out,
            self._setup.layout,
            request.manifest.hashes,
            options.if_stale,
            options.format,
            prune=options.prune,
            retry_skipped=options.retries,
        )
        self._missing_at_first = frozenset(self._writer.missing)
        self.workers = 1 if self._writer.grows else options.workers or _default_workers(request.device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            error.add_note(self._kept())
        self._writer.close()

    def _kept(self) -> str:
        """What an interruption leaves."""
        n_blocks, grows = self._writer.layout.n_blocks, self._writer.grows
        done = n_blocks - len(self._writer.missing)
        store = f"{self._path} is as it was; of what it grows into" if grows else f"{self._path}:"
        return f"{store} {done} of {n_blocks} blocks are committed{_CONTINUES[done > 0]}"

    @property
    def may_run_beside_others(self) -> bool:
        """Whether it runs in this process, decodes in its threads and compiles nothing.

        torch's tracers change its modules for every thread. Decoding processes serve one extraction, and in turn two are faster
        with them than at once with the threads of one Python, which decode a fifth as much (16 cores, one H100).
        """
        request = self._setup
        in_processes = processes_pay(request.device, None, len(request.manifest) * request.views.count)
        return self.workers == 1 and not request.compute.endswith(COMPILED) and not in_processes

    @property
    def room(self) -> tuple[Path, Layout, int]:
        """What `check_room` takes."""
        return self._path, self._writer.layout, len(self._writer.missing)

    @property
    def rows(self) -> int:
        """How many rows there are to do; one that lacks taps and views counts for each."""
        return sum(len(part.rows) for part in self._parts())

    def reader(self, shared: SharedViews) -> Reader:
        """Its access to shared views.

        A store that grows by several things at once (new images and another tap) takes some rows twice and jumps between them,
        and nvJPEG decodes whole batches: those make their views for themselves.
        """
        views = self._setup.views
        kinds = {(part.views, part.taps) for part in self._parts()}
        if len(kinds) != 1 or views.decoder != "pillow":
            return shared.reader(views, (), np.empty(0, int))
        return shared.reader(views, next(iter(kinds))[0], np.concatenate([part.rows for part in self._parts()]))

    def run(self, progress: Progress | None = None, meter: Meter | None = None) -> ExtractReport:
        """Compute and commit what is missing.

        Args:
            progress: called after every batch.
            meter: of this job.

        Raises:
            ImageError, DataError, FeatureError, StoreError, BackboneError: as `extract`.
        """
        meter = meter or Meter()
        if self.workers == 1 or not self._writer.missing:
            return self.prepare(progress, meter)()
        prefetch, on_error = self._options.prefetch, self._options.on_error
        created, counter = self._writer.is_new, Counter(progress, self.rows if progress else 0, meter)
        rows = in_processes(
            self.workers, self._writer, self._setup, on_error, prefetch=prefetch, meter=meter, counter=counter
        )
        return self._report(rows, meter, created)

    def prepare(
        self,
        progress: Progress | None,
        meter: Meter,
        reader: Reader | None = None,
        turns: AbstractContextManager[object] | None = None,
    ) -> Callable[[], ExtractReport]:
        """What `run` does in this process, in two steps: the returned function may run beside those of other jobs.

        Args:
            progress: called after every batch.
            meter: of this job.
            reader: of views that are shared with other jobs.
            turns: what a forward pass on a CPU takes while it computes, the same for all jobs.
        """
        created, blocks = self._writer.is_new, self._writer.missing
        effort = Effort.on(self._setup.device, self._options.prefetch, turns=turns)
        counter = Counter(progress, self.rows if progress else 0, meter)
        compute = prepare_blocks(
            self._writer,
            self._setup,
            blocks,
            self._options.on_error,
            effort=effort,
            meter=meter,
            computed=counter.add,
            reader=reader,
        )

        def run() -> ExtractReport:
            meter.start()
            return self._report(compute(), meter, created)

        return run

    def _parts(self) -> list[Part]:
        return [part for block in self._writer.missing for part in self._writer.parts(block)]

    def _report(self, computed_rows: int, meter: Meter, created: bool) -> ExtractReport:
        """The report, which is kept beside the store too."""
        seconds, store, request = meter.elapsed, open_store(self._path), self._setup
        block_rows, ids = store.layout.block_rows, request.manifest.ids
        report = ExtractReport(
            store=str(self._path),
            format=store.format,
            rows=len(store),
            computed_rows=computed_rows,
            computed_images=meter.images,
            n_views=store.layout.n_views,
            seconds=seconds,
            step_seconds=meter.seconds,
            bytes=stored_bytes(self._path),
            written_bytes=meter.bytes,
            skipped={ids[row]: reason for row, reason in store.skipped.items()},
            skipped_before=tuple(ids[row] for row in store.skipped if row // block_rows not in self._missing_at_first),
            changes=self._writer.changes,
            kept=request.kept,
            left_out=request.manifest.left_out,
            notes=(*request.manifest.notes, *(f"{what} ({n} images)" for what, n in meter.notes.items())),
            clipped=store.clipped,
            storage_error=store.layout.storage_error,
            compute_error=store.layout.compute_error,
            fingerprint=store.fingerprint.digest,
            device=_device_name(request.device),
            compute=request.compute,
            dtype=request.taps[0].dtype,
            workers=self.workers,
        )
        add_run(self._path, report.to_json(), anew=created)
        return report


def calibrated(request: Request) -> Request:
    """The request with ranges and errors of its storage type: a store's own where that one goes on, else measured."""
    known, usable = known_layout(request.options.out, request.layout)
    if known is not None and not usable and request.options.if_stale == "refuse":
        return request  # the writer is about to refuse it
    found = calibrate(request, known if usable else None)
    return replace(request, layout=found.into(request.layout, known if usable else None))


def _default_workers(device: torch.device) -> int:
    several = device.type == "cuda" and device.index is None
    return max(1, torch.cuda.device_count()) if several else 1


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
