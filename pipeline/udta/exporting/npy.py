"""NumPy files: `<tap>.npy` of shape `[rows, *shape]`, or `[rows, views, *shape]` for several views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from udta.exporting.selection import Selection
from udta.store import value_dtype


def write_npy(folder: Path, selection: Selection, progress: Callable[[int, int], None]) -> None:
    """A header, then the rows as they are read."""
    single, total = len(selection.views) == 1, len(selection) * len(selection.taps)
    for number, tap in enumerate(selection.taps):
        shape = (len(selection), *(() if single else (len(selection.views),)), *tap.shape)
        header = {"descr": np.lib.format.dtype_to_descr(value_dtype(tap.dtype)), "fortran_order": False, "shape": shape}
        with (folder / f"{tap.name}.npy").open("wb") as file:
            np.lib.format.write_array_header_2_0(file, header)
            for part, features in selection.chunks([tap]):
                file.write(np.ascontiguousarray(features[tap.name]).reshape(-1).view(np.uint8).data)
                progress(number * len(selection) + part.stop, total)
