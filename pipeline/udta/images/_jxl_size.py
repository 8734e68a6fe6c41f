"""The size of a JPEG XL by its first bytes: the plug-in of Pillow decodes all pixels of a file when it is opened."""

from __future__ import annotations

# ISO/IEC 18181-1, D.2: bits of each of the four lengths that a side of any number of pixels may be written with.
_BITS = (9, 13, 18, 30)
# And width by height, where a ratio stands for the width.
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jxl_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) of a bare codestream, or of one in boxes; None where there is none."""
    codestream = content if content.startswith(b"\xff\x0a") else _codestream(content)
    if not codestream.startswith(b"\xff\x0a"):
        return None
    # Up to 2 x 32 + 4 bits; the lowest bit of a byte comes first.
    bits = int.from_bytes(codestream[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def side(*, in_eights: bool) -> int:
        return 8 * (1 + take(5)) if in_eights else 1 + take(_BITS[take(2)])

    in_eights = bool(take(1))
    height = side(in_eights=in_eights)
    ratio = take(3)
    if not ratio:
        return side(in_eights=in_eights), height
    wide, high = _RATIOS[ratio - 1]
    return height * wide // high, height


def _codestream(content: bytes) -> bytes:
    """Its beginning: the first box `jxlc`, or `jxlp`, whose number of four bytes comes before it (ISO/IEC 18181-2, 9)."""
    start = 0
    while start + 8 <= len(content):
        length, kind, head = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8], 8
        if length == 1:  # of 64 bits, behind the kind
            length, head = int.from_bytes(content[start + 8 : start + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            first = start + head + (4 if kind == b"jxlp" else 0)
            return content[first : first + 16]
        if length < head:  # 0: up to the end of the file
            return b""
        start += length
    return b""
