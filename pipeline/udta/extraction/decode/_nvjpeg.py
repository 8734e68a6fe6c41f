"""From files to batches of views on a GPU: nvJPEG decodes, the transforms run there, and Pillow gets what is no plain JPEG.

The processor's threads read, hash and look at headers. nvJPEG's inverse cosine transform and chroma upsampling are its own, so
pixels differ from Pillow's by a few levels: a store's fingerprint names the decoder. What else is in its batch cannot change an
image.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from udta._machine.cores import n_cores
from udta.errors import ConfigError, ImageError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort, WorkItem
from udta.extraction.decode._decoder import Decoding, ViewBatch
from udta.extraction.decode._threads import note_colours, read_image
from udta.images import EncodedImage, Manifest, OnError, ViewSpec
from udta.images.ops.gpu_ops import transformed

# While one batch is transformed another is decoded; nvJPEG itself takes one at a time.
_STREAMS = 2
# Reading is little work, and more threads than these keep Python from those that decode.
_READERS = 4

Views = UInt8[Tensor, "views height width 3"]


class NvjpegDecoder:
    """The images of a batch lie in the memory of the device, `[views, rows, height, width, 3]`. Arguments as of `ThreadDecoder`.

    Raises:
        ConfigError: the device is no GPU.
    """

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        device: torch.device,
        effort: Effort,
        meter: Meter,
    ) -> None:
        if device.type != "cuda":
            raise ConfigError(
                f"these images are decoded by nvJPEG, which needs a CUDA device, but the device is {device}"
            )
        self._manifest, self._views, self._on_error = manifest, views, on_error
        self._device, self._meter, self.ahead = device, meter, effort.prefetch
        self._readers = ThreadPoolExecutor(min(n_cores(), _READERS), "udta-read")
        self._decoders = ThreadPoolExecutor(_STREAMS, "udta-decode")

    def __call__(self, item: WorkItem) -> Decoding:
        """Begin with the files of an item's rows; when all are read, a batch is decoded in one call."""
        read = [self._readers.submit(self._read, row, item.views) for row in item.rows]
        batch = self._decoders.submit(self._batch, item, read)
        return Decoding([batch], batch.result)

    def close(self) -> None:
        """Forget what no thread has taken, and wait for the rest."""
        # Readers go last: a batch that has begun waits for its files.
        self._decoders.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)

    def _read(self, row: int, which: Sequence[int]) -> bytes | Views | ImageError:
        """In a thread of the processor: a plain JPEG, views that Pillow made, or why the image is skipped."""
        try:
            content = read_image(self._manifest, row, self._meter)
            with self._meter.step("decode"):
                image = EncodedImage(content, self._manifest.ids[row])
                note_colours(image, self._meter)
                return content if image.is_plain_jpeg else self._by_pillow(image, row, which)
        except ImageError as error:
            if self._on_error == "fail":
                raise
            return error

    def _batch(self, item: WorkItem, read: Sequence[Future[bytes | Views | ImageError]]) -> ViewBatch:
        """In a thread with a stream of its own, whose work is done when this returns."""
        found = [each.result() for each in read]
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with self._meter.step("decode"), torch.cuda.stream(stream), torch.inference_mode():
            shape = (len(item.rows), len(item.views), *self._views.size, 3)
            # Zeroed, because a skipped row is not written; rows first, because an image has all its views at once.
            images = torch.zeros(shape, dtype=torch.uint8, device=self._device)
            skipped: dict[int, str] = {}
            decoded = iter(self._decoded([each for each in found if isinstance(each, bytes)]))
            for position, (row, each) in enumerate(zip(item.rows, found, strict=True)):
                try:
                    made = self._made(row, item.views, each, next(decoded)) if isinstance(each, bytes) else each
                    if isinstance(made, ImageError):
                        raise made
                    images[position] = made
                except ImageError as error:
                    if self._on_error == "fail":
                        raise
                    skipped[row] = error.reason
            images = images.swapaxes(0, 1).contiguous()
            # The pass runs in another stream, which knows nothing of this one: what it reads must be there.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(stream)
            done.synchronize()
        return ViewBatch(item.rows, images, skipped)

    def _decoded(self, jpegs: list[bytes]) -> list[UInt8[Tensor, "3 height width"] | None]:
        """None for a file that nvJPEG refuses."""
        if not jpegs:
            return []
        # A bytearray is writable: torch warns of tensors over memory that is not.
        contents = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in jpegs]
        try:
            return list(decode_jpeg(contents, ImageReadMode.RGB, self._device))
        except RuntimeError:  # of one of them, and it does not say of which
            return [None] if len(jpegs) == 1 else [self._decoded([content])[0] for content in jpegs]

    def _made(self, row: int, which: Sequence[int], content: bytes, pixels: Tensor | None) -> Views:
        """From what nvJPEG made of a file; Pillow says what is wrong with one that it refused, or decodes it."""
        if pixels is None:
            return self._by_pillow(EncodedImage(content, self._manifest.ids[row]), row, which)
        sha256 = self._manifest.hashes[row]
        return torch.stack([transformed(self._views.transform(v), pixels, self._views.rng(sha256, v)) for v in which])

    def _by_pillow(self, image: EncodedImage, row: int, which: Sequence[int]) -> Views:
        return torch.from_numpy(self._views.make(image, self._manifest.hashes[row], which))
