"""PNG files with much text: Pillow refuses over 1 MB in a chunk, a bound for the whole process, so the text is taken out instead.

Captions, editing histories and prompts of image generators are megabytes long, and nothing of them is pixels.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# Signature and chunks: PNG specification, third edition, 5.2 and 5.3: length, kind, body, CRC.
_MAGIC = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
# The orientation may stand in these; one of them is a few kilobytes.
_METADATA = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")
_MOST_METADATA = 2**18
# What a profile may be when it is unpacked. The largest that are in use, of printers with many inks, have 2 to 4 MB.
_MOST_PROFILE = 2**24


def without_text(content: bytes) -> tuple[bytes, bytes | None] | None:
    """A PNG without its text and its colour profile, and the profile; None when it has neither or is no PNG.

    Text that may hold the orientation stays where it is short.
    """
    if not content.startswith(_MAGIC):
        return None
    kept, profile = [_MAGIC], None
    # Pillow's bounds, 1 MB a chunk of text and of a profile and 64 MB together, are `PngImagePlugin.MAX_TEXT_CHUNK` and
    # `MAX_TEXT_MEMORY`: to raise them would raise them for every user of Pillow in the process.
    for kind, start, end in _chunks(content):
        body = content[start + 8 : end - 4]
        if kind == b"iCCP":
            profile = _unpacked(body.partition(b"\0")[2][1:])  # a name, 0, one byte for the method, the packed profile
        elif kind not in _TEXT or (len(body) <= _MOST_METADATA and body.startswith(_METADATA)):
            kept.append(content[start:end])
    lighter = b"".join(kept)
    return (lighter, profile) if len(lighter) < len(content) else None


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of every chunk; the last may be cut short."""
    start = len(_MAGIC)
    while start < len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        end = min(start + length + 12, len(content))
        yield content[start + 4 : start + 8], start, end
        start = end


def _unpacked(packed: bytes) -> bytes | None:
    # Never more than the bound: a kilobyte can unpack to a megabyte.
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, _MOST_PROFILE)
    except zlib.error:
        return None
    return profile if unpacker.eof else None
