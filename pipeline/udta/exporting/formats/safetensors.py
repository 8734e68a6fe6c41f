"""safetensors: one file with a tensor for each tap, `label` and `row`, and the class names in its metadata.

The library wants all tensors in memory; the format is a length, a JSON header and the bytes of the tensors, so it is streamed.
Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from udta.exporting._selection import Selection
from udta.exporting.formats.format import Format, Progress
from udta.store import value_dtype

_FILE = "features.safetensors"
_NAMES = {"float16": "F16", "float32": "F32", "int64": "I64"}


def _write(folder: Path, selection: Selection, progress: Progress) -> None:
    """One pass over the store for each tap, because the bytes of a tensor lie together."""
    columns = {"label": selection.store.labels[selection.rows], "row": selection.rows}
    single, total = len(selection.views) == 1, len(selection) * len(selection.taps)
    shapes = {
        tap.name: (tap.dtype, (len(selection), *(() if single else (len(selection.views),)), *tap.shape))
        for tap in selection.taps
    }
    with (folder / _FILE).open("wb") as file:
        file.write(_header(shapes | {name: ("int64", values.shape) for name, values in columns.items()}, selection))
        for number, tap in enumerate(selection.taps):
            for part, features in selection.chunks([tap]):
                file.write(np.ascontiguousarray(features[tap.name]).reshape(-1).view(np.uint8).data)
                progress(number * len(selection) + part.stop, total)
        for values in columns.values():
            file.write(values.astype("<i8").tobytes())  # little-endian, as the format has all numbers


def _header(tensors: dict[str, tuple[str, tuple[int, ...]]], selection: Selection) -> bytes:
    document: dict[str, Any] = {"__metadata__": {"classes": json.dumps(list(selection.store.classes))}}
    position = 0
    # In the order in which they are written, without gaps: the format refuses holes between tensors.
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * (8 if dtype == "int64" else value_dtype(dtype).itemsize)
        document[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(document, separators=(",", ":")).encode()
    # Tensors begin at a multiple of eight, so that readers may map them; the format lets a header end in spaces for it.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


SAFETENSORS = Format("safetensors", _write, columns=("label", "row"))
