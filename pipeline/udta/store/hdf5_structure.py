"""What an HDF5 file of a stranger may hold: datasets whose bytes are in that very file, as many as it says.

The format can name other files (external links, external raw data, virtual datasets) and sizes that were never written; the
library follows the one and allocates the other without asking.
"""

from __future__ import annotations

import os

import h5py
import numpy as np

# Deflate, shuffle and LZF come with h5py; another filter would be looked for among the plug-ins of this machine.
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_LZF}
_MOST_COMPRESSED = 1100  # deflate reaches 1032
_TEXT_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


def plain_dataset(file: h5py.File, name: str, shape: tuple[int, ...] | None = None) -> h5py.Dataset:
    """A dataset whose values lie in this file; of this shape, where one is given.

    Raises:
        ValueError: they do not, or not as many as it says.
    """
    found: object = file
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is not there, or a link")
        found = found[part]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name!r} is no dataset")
    properties = found.id.get_create_plist()
    if found.is_virtual or properties.get_external_count():
        raise ValueError(f"{name!r} has its values in other files")
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"{name!r} wants a filter that udta does not use")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name!r} is of shape {found.shape}, not {shape}")
    most = found.id.get_storage_size() * (_MOST_COMPRESSED if filters else 1)
    if found.size is None or found.size * found.id.get_type().get_size() > most:
        raise ValueError(f"{name!r} claims more values than the file has")
    return found


def read_texts(file: h5py.File, name: str) -> list[str]:
    """A column of texts of any length. Raises `ValueError`."""
    dataset = plain_dataset(file, name)
    offset = dataset.id.get_offset()
    if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or offset is None:
        raise ValueError(f"{name!r} is no column of texts")
    # Many entries may stand for one text, which the library would copy for each of them.
    references = np.fromfile(file.filename, dtype=_TEXT_REFERENCE, count=len(dataset), offset=offset)
    if int(references["length"].sum(dtype=np.int64)) > os.path.getsize(file.filename):  # noqa: PTH202  # h5py has it as text
        raise ValueError(f"{name!r} claims more text than the file has")
    texts: list[str] = dataset.asstr()[:].tolist()
    return texts


def read_labels(file: h5py.File, name: str) -> np.ndarray:
    """A column of whole numbers. Raises `ValueError`."""
    dataset = plain_dataset(file, name)
    if dataset.dtype.kind not in "iu" or dataset.ndim != 1:
        raise ValueError(f"{name!r} is no column of whole numbers")
    return np.asarray(dataset[:])
