"""DICOM: what a scanner stored, as the eight bits that a radiologist sees.

Grey values are rescaled (slope and intercept, or a modality look-up table), then mapped by the window, which is the file's own
where none is stated: its VOI look-up table, or its first window centre and width; one without any shows its smallest to its
largest value, as viewers do. `MONOCHROME1` is turned over. Colours and palettes become RGB. Of several frames the first is taken,
with its own rescaling and window. Nothing else of the file is used, and what it refers to is never opened.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, UnidentifiedImageError

from udta.errors import ImageError
from udta.images._formats import HEAD_BYTES, format_of, missing_reader
from udta.images._pixel_spec import MINMAX, Bands, PixelSpec, Window
from udta.images._size import check_size, one_at_a_time
from udta.images._whole_file import WholeFile

if TYPE_CHECKING:
    from pydicom import Dataset

# Deflated Explicit VR Little Endian (PS3.5, A.5): all behind the header is compressed, and pydicom unpacks it without a bound.
_DEFLATED = b"1.2.840.10008.1.2.1.99"
# Where an enhanced multi-frame file has what other files have at the top (PS3.3, C.7.6.16).
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_OF_A_FRAME = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_NARROWEST = 1e-6

_Grey = Num[np.ndarray, "height width"]


def is_dicom(content: bytes) -> bool:
    """Whether a file is a DICOM, by its first bytes."""
    return format_of(content[:HEAD_BYTES]) == "DICOM"


class DicomFile(WholeFile):
    """A DICOM file. `name` is what errors call the image."""

    def decode(self, reduction: int, pixels: PixelSpec) -> Bands:
        """The first frame.

        Raises:
            ImageError: pydicom is missing, or what decompresses the pixels; damaged, without pixels, over `MAX_BYTES`; other
                channels than one or three are wanted.
        """
        try:
            import pydicom
        except ImportError:
            raise ImageError(self._name, f"is {missing_reader('DICOM')}") from None
        if _DEFLATED in self._content:
            raise ImageError(
                self._name, "is a deflated DICOM, whose size is not known before it is unpacked: convert it"
            )
        try:
            data = pydicom.dcmread(io.BytesIO(self._content))
            if "PixelData" not in data and "FloatPixelData" not in data and "DoubleFloatPixelData" not in data:
                raise ImageError(self._name, "is a DICOM without pixels, such as a report or a plan")
            width, height = int(data.Columns), int(data.Rows)
            check_size(self._name, width, height, int(data.SamplesPerPixel) * int(data.BitsAllocated) // 8)
            _check_frame(data, self._name)
            with one_at_a_time(width * height):
                return pixels.of_picture(Image.fromarray(_shown(data, pixels.window, self._name)), self._name)
        except ImageError:
            raise
        except Exception as error:  # of a damaged file it may be any
            said = " ".join(str(error).split()) or type(error).__name__
            problem = (
                "is a DICOM that needs a plug-in" if "missing dependencies" in said else "is a damaged or unusual DICOM"
            )
            raise ImageError(self._name, f"{problem} ({said})") from error


def _shown(data: Dataset, window: Window, name: str) -> UInt8[np.ndarray, "height width *rgb"]:
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    values = pixel_array(data, index=0)
    kind = data.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        colours = apply_color_lut(values, data)
        return _whole_range(colours, 8 * colours.dtype.itemsize)
    if not kind.startswith("MONOCHROME"):
        return _whole_range(values, int(data.BitsStored))
    _take_up_first_frame(data)
    values = _without_padding(values, data)
    values = apply_modality_lut(values, data)
    own = None
    if window.is_auto:
        values, own = _of_interest(values, data)
    grey = (MINMAX if window.is_auto and own is None else window).eight_bits(values, name, own)
    return 255 - grey if kind == "MONOCHROME1" else grey


def _check_frame(data: Dataset, name: str) -> None:
    """A compressed frame has a size of its own, which need not be that of the file. Raises `ImageError` where it is absurd."""
    from pydicom.encaps import get_frame

    if not data.file_meta.TransferSyntaxUID.is_compressed:
        return
    offsets = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    extended = (data[offsets[0]].value, data[offsets[1]].value) if all(each in data for each in offsets) else None
    frames = int(data.get("NumberOfFrames") or 1)
    frame = get_frame(data.PixelData, 0, extended_offsets=extended, number_of_frames=frames)
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            check_size(name, *image.size)
    except UnidentifiedImageError:
        pass  # RLE, whose size is that of the file, or what a plug-in of pydicom reads


def _whole_range(values: Num[np.ndarray, "*shape"], bits: int) -> UInt8[np.ndarray, "*shape"]:
    """Colours are no measurements: black and white are the ends of what they are stored in."""
    return values if values.dtype == np.uint8 and bits == 8 else Window().eight_bits(values, "", (0, 2**bits - 1))


def _take_up_first_frame(data: Dataset) -> None:
    """Put the rescaling and the window of an enhanced file's first frame where other files have theirs."""
    for groups in _GROUPS:
        for group in data.get(groups) or ():
            for sequence in _OF_A_FRAME:
                data.update(next(iter(group.get(sequence) or ({},))))
            break


def _without_padding(values: _Grey, data: Dataset) -> _Grey:
    """Pixels outside of what was scanned have a value of their own, -2000 in many CTs: they become as dark as any inside."""
    outside = values == data.get("PixelPaddingValue")
    if not np.any(outside) or np.all(outside):
        return values
    inside = values[~outside]
    return np.where(outside, inside.max() if data.PhotometricInterpretation == "MONOCHROME1" else inside.min(), values)


def _of_interest(values: _Grey, data: Dataset) -> tuple[_Grey, tuple[float, float] | None]:
    """Values, and which of them are black and white as the file says (PS3.3, C.11.2); None where it does not."""
    if data.get("VOILUTSequence"):
        return _looked_up(values, data)
    if data.get("WindowCenter") is None or data.get("WindowWidth") is None:
        plain = data.BitsStored <= 8 and not data.PixelRepresentation and values.dtype.kind == "u"
        return values, (0, 2**data.BitsStored - 1) if plain else None
    centre, width = _first(data.WindowCenter), _first(data.WindowWidth)
    function = data.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values.astype(np.float64) - centre) / max(width, _NARROWEST))), (0, 1)
    # LINEAR counts whole values: of 256 of them the last is white, 255 above the first (C.11.2.1.2.1).
    exact = function == "LINEAR_EXACT"
    middle, half = (centre, width / 2) if exact else (centre - 0.5, (width - 1) / 2)
    half = max(half, _NARROWEST)
    return values, (middle - half, middle + half)


def _looked_up(values: _Grey, data: Dataset) -> tuple[_Grey, tuple[float, float]]:
    # Not pydicom's `apply_voi`, which counts entries in the type of what comes out: of 4096 with 8 bits each it takes 256.
    item = data.VOILUTSequence[0]
    _, first, bits = item.LUTDescriptor
    entries = item.LUTData
    if isinstance(entries, bytes):
        entries = np.frombuffer(entries, "<u2" if data.original_encoding[1] else ">u2")
    table = np.asarray(entries, np.uint16)
    places = (values.astype(np.int64) - first).clip(0, len(table) - 1)
    return table[places], (0, 2**bits - 1)


def _first(value: Any) -> float:
    """A file may have several windows: the first is the one that it is shown with."""
    return float(value[0] if hasattr(value, "__getitem__") else value)
