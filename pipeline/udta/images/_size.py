"""How large an image may be, whatever the format: what is refused before memory is spent, and what is decoded one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from udta.errors import ImageError

# 178 megapixels are 0.5 GB as RGB; Pillow's own limit of twice 89.48 MP can be switched off by anyone in the process.
MAX_PIXELS = 178_000_000
# As they are stored, of formats with more bits or channels: what 178 megapixels are as RGB.
MAX_BYTES = 3 * MAX_PIXELS

# Decoding holds up to four copies of the pixels, so images over this size (0.1 GB as RGB) are decoded one at a time: what is
# in memory does not grow with the number of threads.
LARGE_PIXELS = 32_000_000
_LARGE_LOCK = threading.Lock()


def check_size(name: str, width: int, height: int, pixel_bytes: int = 3) -> None:
    """Raises `ImageError`: over `MAX_PIXELS`, or over `MAX_BYTES` with so many bytes a pixel."""
    if width * height > MAX_PIXELS:
        raise ImageError(name, f"has {width}x{height} pixels, over the limit of {MAX_PIXELS // 10**6} megapixels")
    if width * height * pixel_bytes > MAX_BYTES:
        raise ImageError(
            name,
            f"has {width}x{height} pixels of {pixel_bytes} bytes, over the limit of {MAX_BYTES // 10**6} megabytes",
        )


@contextmanager
def one_at_a_time(pixels: int) -> Iterator[None]:
    """Around the decoding of an image, which waits for others where it has more than `LARGE_PIXELS`."""
    if pixels <= LARGE_PIXELS:
        yield
        return
    with _LARGE_LOCK:
        yield
