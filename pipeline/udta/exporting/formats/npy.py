"""NumPy files: `<tap>.npy` of shape `[rows, *shape]`, or `[rows, views, *shape]` for more than one view."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from udta.exporting._selection import Selection
from udta.exporting.formats.format import Format, Progress
from udta.store import value_dtype


def _write(folder: Path, selection: Selection, progress: Progress) -> None:
    """A header, then the rows as they are read: `np.save` wants the whole array, which may be larger than the memory."""
    # One view has no axis of its own: most exports are of view 0, for tools that want `[rows, features]`.
    single, total = len(selection.views) == 1, len(selection) * len(selection.taps)
    for number, tap in enumerate(selection.taps):
        shape = (len(selection), *(() if single else (len(selection.views),)), *tap.shape)
        # NumPy has no bfloat16 and no file of it; such taps are float32 by now.
        header = {"descr": np.lib.format.dtype_to_descr(value_dtype(tap.dtype)), "fortran_order": False, "shape": shape}
        with (folder / f"{tap.name}.npy").open("wb") as file:
            np.lib.format.write_array_header_2_0(file, header)
            for part, features in selection.chunks([tap]):
                file.write(np.ascontiguousarray(features[tap.name]).reshape(-1).view(np.uint8).data)
                progress(number * len(selection) + part.stop, total)


NPY = Format("npy", _write)
