"""Which files are images: by extension where that says it, else by their first bytes.

A file with the extension of an image keeps its row even if it turns out to be none: it is a damaged image, and what becomes of
it is decided when it is decoded. Any other file is an image if its content is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from PIL import features

from udta.errors import ImageError
from udta.images._image_file import opened_image

# What Pillow may be asked to open by itself. Other decoders are never reached: EPS, for one, starts Ghostscript.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_SUFFIXES = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm",
    )
)  # fmt: skip

# Formats that are read with a library or a plug-in of Pillow that may be missing: their extensions, and what brings them.
_EXTRA_SUFFIXES = {
    "AVIF": (".avif", ".avifs"), "HEIF": (".heic", ".heics", ".heif", ".hif"), "JXL": (".jxl",), "DICOM": (".dcm", ".dicom"),
}  # fmt: skip
_BROUGHT_BY = {
    "AVIF": "'pillow>=11.3'",
    "HEIF": "'udta[formats]'",
    "JXL": "'udta[formats]'",
    "DICOM": "'udta[medical]'",
    "TIFF": "'udta[medical]'",  # what Pillow cannot read of it
}

# Cameras' raw files: TIFF by their first bytes, but what Pillow finds in there is a thumbnail.
_RAW_SUFFIXES = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef", ".mos",
        ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
    )
)  # fmt: skip

# Of Synology's disks, macOS's zip files, Windows and DICOM; in some of them are thumbnails, which are images by their content.
_SYSTEM_NAMES = frozenset(
    ("@eadir", "__macosx", "#recycle", "$recycle.bin", "system volume information", "thumbs.db", "dicomdir")
)

HEAD_BYTES = 132  # of a DICOM: a preamble of 128, then its four letters (PS3.10, 7.1)
_BRAND_BYTES = 64  # with them, of an AVIF or HEIF, the major brand and up to twelve compatible ones
_OTHERS = {b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"8BPS": "a Photoshop file"}
# `P5` alone begins many a text: a width or a comment has to follow.
_NETPBM = re.compile(rb"P[1-6]\s+(#|\d+\s+\d)")
# Sizes of the headers that a BMP may have, of OS/2 and Windows: `BM` alone begins many a text too.
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or one that systems keep beside images, such as `@eaDir`."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def has_image_suffix(name: str) -> bool:
    """Whether the extension, in capitals or not, is one of an image that can be read here."""
    suffix = _suffix(name)
    return suffix in _SUFFIXES or any(suffix in _EXTRA_SUFFIXES[extra] for extra in _EXTRA_SUFFIXES if _reads(extra))


def why_no_image(name: str, path: str) -> str:
    """Empty for an image; why any other file is none. The file is opened only where its extension does not tell.

    Args:
        name: of the file.
        path: where it is.
    """
    if is_ignored(name):
        return "hidden or of the system"
    # No file is opened whose extension tells: on a network's disk that is a round trip for each of a million.
    suffix = _suffix(name)
    if suffix in _SUFFIXES:
        return ""
    for extra, suffixes in _EXTRA_SUFFIXES.items():
        if suffix in suffixes:
            return "" if _reads(extra) else missing_reader(extra)
    if suffix in _RAW_SUFFIXES:
        return "a camera's raw file, convert it"
    try:
        with opened_image(path, name) as file:
            found = format_of(file.read(HEAD_BYTES))
    except ImageError as error:
        return error.reason
    if found in FORMATS or (found in _EXTRA_SUFFIXES and _reads(found)):
        return ""
    if found in _EXTRA_SUFFIXES:
        return missing_reader(found)
    return f"{found}, convert it" if found else "no image by its content"


def format_of(head: bytes) -> str:
    """The format that a file of these first 132 bytes has, as Pillow calls it; another image format in words; '' for all else."""
    # First, since what stands in the preamble may be the head of a TIFF: scanners write that too.
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    # Little and big endian; 42 (`*`) for TIFF 6.0, 43 (`+`) for BigTIFF.
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if _NETPBM.match(head):
        return "PPM"
    if head.startswith(b"\0\0\0\x0cJXL \r\n\x87\n"):
        return "JXL"
    if head[4:8] == b"ftyp":
        return _of_brands({head[start : start + 4] for start in (8, *range(16, min(len(head), _BRAND_BYTES), 4))})
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "")


def extra_formats() -> dict[str, str]:
    """Formats that may be missing: what brings each (as `pip install` takes it), or nothing where it can be read here.

    `TIFF` is what Pillow cannot read of it, such as more than four channels.
    """
    tiff = "" if find_spec("tifffile") else _BROUGHT_BY["TIFF"]
    return {name: "" if _reads(name) else _BROUGHT_BY[name] for name in _READERS} | {"TIFF of many channels": tiff}


def missing_reader(name: str) -> str:
    """Why a file of an extra format is left out."""
    return f"{name}, which needs pip install {_BROUGHT_BY[name]}"


def extra_format(content: bytes, name: str) -> str | None:
    """The format of a plug-in that a file has, and that Pillow can be asked to open from now on; None for any other file.

    Raises:
        ImageError: what reads it is not installed.
    """
    # A bare codestream of JPEG XL starts with two bytes: enough where a file was called an image, too few to call one so.
    found = "JXL" if content.startswith(b"\xff\x0a") else format_of(content[:HEAD_BYTES])
    if found not in _EXTRA_SUFFIXES:
        return None
    if not _reads(found):
        raise ImageError(name, f"is {missing_reader(found)}")
    return found


def _of_brands(brands: set[bytes]) -> str:
    """Of a file in boxes as MPEG-4 has them; AVIF may name a brand of HEIF besides its own."""
    # ISO/IEC 23008-12 (HEIF) lists the codes of still images and sequences; `mif1` and `msf1` are those of any codec.
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"} else ""


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # of a million names: a `Path` of each takes 2 s


@cache
def _reads(extra: str) -> bool:
    """Whether this format can be read; a plug-in of Pillow is loaded the first time that it is asked for."""
    return _READERS[extra]()


def _has_heif() -> bool:
    try:
        import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


def _has_jxl() -> bool:
    try:
        import_module("pillow_jxl")  # it registers itself
    except ImportError:
        return False
    return True


_READERS: dict[str, Callable[[], bool]] = {
    "AVIF": lambda: bool(features.check("avif")),
    "HEIF": _has_heif,
    "JXL": _has_jxl,
    "DICOM": lambda: find_spec("pydicom") is not None,
}
