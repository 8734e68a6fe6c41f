"""Decoding: from the files of a work item's rows to a batch of views, one contract and a file for each way.

_decoder     the contract: an item in, a batch of views on its way out
_threads     threads of this process; what everything else falls back to
_processes   child processes, for a GPU that takes more than the threads of one Python make
_nvjpeg      the GPU itself
_shared      threads that make the views of several extractions at the same time
"""

from __future__ import annotations

from udta.extraction._meter import Meter
from udta.extraction._work import Effort, FeatureSource
from udta.extraction.decode._decoder import Decoder, Decoding, ViewBatch
from udta.extraction.decode._processes import ProcessDecoder, processes_pay
from udta.extraction.decode._shared import Reader, SharedDecoder, SharedViews
from udta.extraction.decode._threads import ThreadDecoder


def open_decoder(
    source: FeatureSource, effort: Effort, meter: Meter, n_views: int, reader: Reader | None = None
) -> Decoder:
    """The way that suits views, device and amount of work.

    Args:
        source: whose images.
        effort: threads, and batches ahead.
        meter: counts reading and decoding.
        n_views: how many will be made; processes take a while to start.
        reader: of views that are shared with other extractions, which run in threads of this process.
    """
    images = source.manifest, source.views, source.on_error
    if source.views.decoder == "nvjpeg":
        # Here: torchvision brings torch._dynamo with it, two seconds of every start.
        from udta.extraction.decode._nvjpeg import NvjpegDecoder

        return NvjpegDecoder(*images, device=source.device, effort=effort, meter=meter)
    if reader is not None:
        return SharedDecoder(*images, device=source.device, effort=effort, meter=meter, reader=reader)
    pays = processes_pay(source.device, effort.threads, n_views)
    way = ProcessDecoder if pays else ThreadDecoder
    return way(*images, device=source.device, effort=effort, meter=meter)


__all__ = [
    "Decoder",
    "Decoding",
    "ProcessDecoder",
    "Reader",
    "SharedDecoder",
    "SharedViews",
    "ThreadDecoder",
    "ViewBatch",
    "open_decoder",
    "processes_pay",
]
