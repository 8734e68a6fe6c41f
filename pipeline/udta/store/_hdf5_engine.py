"""HDF5: one file a block, renamed into place, and an index file that shows the blocks as one array by virtual datasets.

One growing HDF5 file does not survive `kill -9` (without flush: unreadable every time; with SWMR: refuses to open until repaired;
contiguous without early allocation: opens and reads zeros), a finished file under its final name always does. In a block file
every tap is `taps/<name>` of shape `[rows, V, ...]` with one chunk a view, each at an offset that can be mapped.

The HDF5 library may crash on damaged metadata, so bytes outside the chunks are checked against a CRC-32C before it sees them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import google_crc32c
import h5py
import numpy as np

from udta.errors import CorruptStoreError
from udta.fingerprint import TapSpec
from udta.store._block_files import flush_all, link_or_copy
from udta.store._directory import Directory
from udta.store._dtypes import STORAGE_TYPES, stored_dtype
from udta.store._engine import Engine
from udta.store._hdf5_files import created_file, plain_dataset, read_labels, read_texts
from udta.store._layout import Layout
from udta.store._ledger import Ledger, file_checksum
from udta.store._mapped_rows import Extent
from udta.store._record import Record

INDEX = "index.h5"
# Readable by every HDF5 since 1.8, and every object on a page of its own, so that chunks can be mapped.
_CREATE: dict[str, Any] = {"libver": "earliest", "alignment_threshold": 1, "alignment_interval": 4096}
# Attributes that are text; the others are whole numbers or JSON.
_TEXTS = ("format", "split_rule", "codec")
_FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "lzf": {"compression": "lzf", "shuffle": True},
}


class Hdf5Engine(Engine):
    """A directory with `index.h5`, `blocks/<number>.h5` and the ledger."""

    format: ClassVar[str] = "hdf5"

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory)
        self.ledger = Ledger(directory, "record.json")
        # Once for all taps and views of a block: everything in its file but chunks is read for it.
        self._sound = lru_cache(maxsize=None)(self._check_block)

    @classmethod
    def owns(cls, directory: Directory) -> bool:
        """A directory with our index or our seal."""
        ledger = Ledger(directory, "record.json")
        return ledger.is_ours() or ((directory.root / INDEX).is_file() and ledger.directory.is_dir())

    def create(self, layout: Layout) -> None:
        """The index, sealed. Its virtual datasets name the block files before they exist; until then they read as NaN."""
        (self.path / "blocks").mkdir()
        # Of 1.10: virtual datasets, and attributes over 64 KB such as many class names.
        with created_file(self.path / INDEX, libver=("v110", "v110")) as file:
            for name, value in layout.attributes().items():
                file.attrs[name] = value if name in _TEXTS or isinstance(value, int) else json.dumps(value)
            text = h5py.string_dtype()
            file.create_dataset("id", data=np.array(layout.ids, dtype=object), dtype=text)
            file.create_dataset("label", data=layout.labels)
            file.create_dataset("split", data=np.array(layout.splits, dtype=object), dtype=text)
            for tap in layout.taps.values():
                dataset = _create_virtual(file, layout, tap)
                dataset.attrs.update(tap.attributes)
        self.ledger.seal({INDEX: file_checksum(self.path / INDEX)}, layout.attributes())

    def load(self) -> Layout:
        """From the attributes and the three columns of the index."""
        try:
            with h5py.File(self.path / INDEX) as file:
                attributes = {name: _plain(name, value) for name, value in file.attrs.items()}
                ids, labels, splits = read_texts(file, "id"), read_labels(file, "label"), read_texts(file, "split")
            return Layout.from_attributes(attributes, ids, labels, splits)
        except Exception as error:  # a damaged or made file has the library raise anything
            raise CorruptStoreError(
                f"{self.directory.path}: the store's index cannot be read ({error}); remove it and extract again"
            ) from error

    def write_block(self, layout: Layout, block: int, features: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """One file for all taps and views. The note says where its chunks lie, and guards the bytes around them."""
        path = self.path / _block_name(block)
        with created_file(path, **_CREATE) as file:
            for tap, values in features.items():
                _write_dataset(file, f"taps/{tap}", values, layout.codec)
        note = _note(path, layout)
        flush_all([path.parent])
        self._sound.cache_clear()  # a block that was dropped and is written again has another note
        return note

    def link_block(self, layout: Layout, block: int, source: Engine, record: Record) -> None:
        """A hard link where there can be; the note fits, since offsets are those in the file."""
        link_or_copy(source.path / _block_name(record.block), self.path / _block_name(block))

    def extents(self, layout: Layout, record: Record) -> dict[tuple[str, int], Extent] | None:
        """At the offsets that the HDF5 library named when the block was written."""
        if layout.codec != "none":
            return None
        path = self._sound(record.block, _Note.of(record))
        return {
            (tap, view): Extent(path, offset, record.stop - record.start)
            for tap, chunks in record.note["chunks"].items()
            for view, (offset, _) in enumerate(chunks)
        }

    def decode_chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """Through h5py, once the metadata of the file are known to be sound."""
        with h5py.File(self._sound(record.block, _Note.of(record))) as file:
            shape = (record.stop - record.start, layout.n_views, *layout.taps[tap].shape)
            dataset = plain_dataset(file, f"taps/{tap}", shape)
            if dataset.dtype != stored_dtype(layout.taps[tap].dtype):
                raise ValueError(f"it holds {dataset.dtype}")
            return np.asarray(dataset[:, view])

    def check_note(self, layout: Layout, record: Record) -> None:
        """Raises where the chunks that it places do not lie within the block's file."""
        size, chunks = record.note["size"], record.note["chunks"]
        if not isinstance(size, int) or not isinstance(chunks, dict) or chunks.keys() != layout.taps.keys():
            raise ValueError("its note is not about the store's taps")
        for spans in chunks.values():
            if len(spans) != layout.n_views:
                raise ValueError("its note is not about the store's views")
            for offset, length in spans:
                # `type`, because JSON's true and false are `int` to `isinstance`.
                if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= size:
                    raise ValueError("its note names places outside the file")

    def chunk_file(self, record: Record, tap: str, view: int) -> Path:
        """One for all taps and views."""
        return self.path / _block_name(record.block)

    def folders(self) -> list[Path]:
        """One for all blocks."""
        return [self.path / "blocks"]

    def _check_block(self, block: int, note: _Note) -> Path:
        path = self.path / _block_name(block)
        try:
            if path.stat().st_size != note.size or _crc_outside(path, note.chunks) != note.crc:
                raise self.directory.damage(path, "has damaged metadata")
        except FileNotFoundError:
            raise self.directory.damage(path, "is missing") from None
        return path


class _Note(tuple[int, str, tuple[tuple[int, int], ...]]):
    """The part of a record that guards a block file: its size, the CRC-32C outside its chunks, and where these are."""

    __slots__ = ()  # a tuple and hashable, because checks are cached by it

    @property
    def size(self) -> int:
        return self[0]

    @property
    def crc(self) -> str:
        return self[1]

    @property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        return self[2]

    @classmethod
    def of(cls, record: Record) -> _Note:
        spans = [(offset, size) for chunks in record.note["chunks"].values() for offset, size in chunks]
        return cls((record.note["size"], record.note["crc"], tuple(sorted(spans))))


def _create_virtual(file: h5py.File, layout: Layout, tap: TapSpec) -> h5py.Dataset:
    """`taps/<name>` over all block files."""
    # By the low-level interface, the one where the time of creation can be left out of a virtual dataset.
    shape = (len(layout), layout.n_views, *tap.shape)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)  # equal stores have equal bytes
    properties.set_fill_value(np.array(STORAGE_TYPES[tap.dtype].fill, dtype=stored_dtype(tap.dtype)))
    for block in range(layout.n_blocks):
        start, stop = layout.block_range(block)
        target, source = h5py.h5s.create_simple(shape), h5py.h5s.create_simple((stop - start, *shape[1:]))
        target.select_hyperslab((start, *(0 for _ in shape[1:])), (stop - start, *shape[1:]))
        # A relative name is looked for beside the index, wherever the store was moved to.
        properties.set_virtual(target, _block_name(block).encode(), f"taps/{tap.name}".encode(), source)
    kind = h5py.h5t.py_create(stored_dtype(tap.dtype), logical=True)
    group = file.require_group("taps")
    h5py.h5d.create(group.id, tap.name.encode(), kind, h5py.h5s.create_simple(shape), dcpl=properties)
    return group[tap.name]


def _write_dataset(file: h5py.File, name: str, values: np.ndarray, codec: str) -> None:
    chunks = (len(values), 1, *values.shape[2:])
    dataset = file.create_dataset(name, values.shape, values.dtype, chunks=chunks, **_FILTERS[codec])
    for view in range(values.shape[1]):
        if codec == "none":  # 1.4-2.5 GB/s where ordinary writing reaches 1.0-1.4
            part = np.ascontiguousarray(values[:, view])
            dataset.id.write_direct_chunk((0, view, *(0 for _ in values.shape[2:])), part.reshape(-1).view(np.uint8))
        else:
            dataset[:, view] = values[:, view]


def _note(path: Path, layout: Layout) -> dict[str, Any]:
    """Asks the HDF5 library where every chunk lies."""
    chunks = {}
    with h5py.File(path) as file:
        for tap, spec in layout.taps.items():
            identifier, zeros = file[f"taps/{tap}"].id, (0,) * len(spec.shape)
            infos = [identifier.get_chunk_info_by_coord((0, view, *zeros)) for view in range(layout.n_views)]
            chunks[tap] = [[int(info.byte_offset), int(info.size)] for info in infos]
    spans = tuple(sorted((offset, size) for found in chunks.values() for offset, size in found))
    return {"size": path.stat().st_size, "crc": _crc_outside(path, spans), "chunks": chunks}


def _crc_outside(path: Path, spans: tuple[tuple[int, int], ...]) -> str:
    """CRC-32C of everything in a file but these (offset, length)."""
    crc, position = 0, 0
    with path.open("rb") as file:
        for offset, length in (*spans, (path.stat().st_size, 0)):
            file.seek(position)
            crc = google_crc32c.extend(crc, file.read(max(offset - position, 0)))
            position = offset + length
    return f"{crc:08x}"


def _block_name(block: int) -> str:
    return f"blocks/{block:06d}.h5"


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value if name in _TEXTS else json.loads(value)
    return int(value)
