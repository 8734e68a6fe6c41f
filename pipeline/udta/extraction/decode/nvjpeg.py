"""From files to batches of views on a GPU: nvJPEG decodes, the transforms run there, and Pillow gets what is no plain JPEG.

The processor's threads read, hash and look at headers. nvJPEG's inverse cosine transform and chroma upsampling are its own, so
pixels differ from Pillow's by a few levels: a store's fingerprint names the decoder. What else is in its batch cannot change an
image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from udta._machine.cores import n_cores
from udta.errors import ConfigError, ImageError
from udta.extraction.decode.batches import ViewBatch
from udta.extraction.decode.makers import note_colours, read_image
from udta.extraction.meter import Meter
from udta.images import EncodedImage, Manifest, OnError, ViewSpec
from udta.images.ops.gpu_ops import transformed

# While one batch is transformed another is decoded; nvJPEG itself takes one at a time.
_STREAMS = 2
# Reading is little work, and more threads than these keep Python from those that decode.
_READERS = 4

Views = UInt8[Tensor, "views height width 3"]


def batches_on_gpu(
    manifest: Manifest,
    views: ViewSpec,
    which: Sequence[int],
    batches: Iterable[Sequence[int]],
    on_error: OnError,
    *,
    prefetch: int,
    device: torch.device,
    meter: Meter,
) -> Generator[ViewBatch, None, None]:
    """As `decoded_batches`, with the images in the memory of `device`."""
    if device.type != "cuda":
        raise ConfigError(f"these images are decoded by nvJPEG, which needs a CUDA device, but the device is {device}")
    maker = _Maker(manifest, views, which, on_error, device, meter)
    pending: deque[Future[ViewBatch]] = deque()
    with (
        ThreadPoolExecutor(min(n_cores(), _READERS), "udta-read") as readers,
        ThreadPoolExecutor(_STREAMS, "udta-decode") as decoders,
    ):
        try:
            for rows in batches:
                read = [readers.submit(maker.read, row) for row in rows]
                pending.append(decoders.submit(maker.batch, rows, read))
                if len(pending) > prefetch:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # Readers go last: a batch that has begun waits for its files.
            decoders.shutdown(cancel_futures=True)
            readers.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Maker:
    manifest: Manifest
    views: ViewSpec
    which: Sequence[int]
    on_error: OnError
    device: torch.device
    meter: Meter

    def read(self, row: int) -> bytes | Views | ImageError:
        """In a thread of the processor: a plain JPEG, views that Pillow made, or why the image is skipped."""
        try:
            content = read_image(self.manifest, row, self.meter)
            with self.meter.step("decode"):
                image = EncodedImage(content, self.manifest.ids[row])
                note_colours(image, self.meter)
                return content if image.is_plain_jpeg else self._by_pillow(image, row)
        except ImageError as error:
            if self.on_error == "fail":
                raise
            return error

    def batch(self, rows: Sequence[int], read: Sequence[Future[bytes | Views | ImageError]]) -> ViewBatch:
        """In a thread with a stream of its own, whose work is done when this returns."""
        found = [each.result() for each in read]
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with self.meter.step("decode"), torch.cuda.stream(stream), torch.inference_mode():
            shape = (len(rows), len(self.which), *self.views.size, 3)
            images = torch.zeros(shape, dtype=torch.uint8, device=self.device)
            skipped: dict[int, str] = {}
            decoded = iter(self._decoded([each for each in found if isinstance(each, bytes)]))
            for place, (row, each) in enumerate(zip(rows, found, strict=True)):
                try:
                    made = self._made(row, each, next(decoded)) if isinstance(each, bytes) else each
                    if isinstance(made, ImageError):
                        raise made
                    images[place] = made
                except ImageError as error:
                    if self.on_error == "fail":
                        raise
                    skipped[row] = error.reason
            images = images.swapaxes(0, 1).contiguous()
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(stream)
            done.synchronize()
        return ViewBatch(rows, images, skipped)

    def _decoded(self, jpegs: list[bytes]) -> list[UInt8[Tensor, "3 height width"] | None]:
        """None for a file that nvJPEG refuses."""
        if not jpegs:
            return []
        contents = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in jpegs]
        try:
            return list(decode_jpeg(contents, ImageReadMode.RGB, self.device))
        except RuntimeError:  # of one of them, and it does not say of which
            return [None] if len(jpegs) == 1 else [self._decoded([content])[0] for content in jpegs]

    def _made(self, row: int, content: bytes, pixels: Tensor | None) -> Views:
        """From what nvJPEG made of a file; Pillow says what is wrong with one that it refused, or decodes it."""
        if pixels is None:
            return self._by_pillow(EncodedImage(content, self.manifest.ids[row]), row)
        sha256 = self.manifest.hashes[row]
        return torch.stack(
            [transformed(self.views.transform(v), pixels, self.views.rng(sha256, v)) for v in self.which]
        )

    def _by_pillow(self, image: EncodedImage, row: int) -> Views:
        sha256 = self.manifest.hashes[row]
        return torch.from_numpy(self.views.some(image, sha256, self.which))
