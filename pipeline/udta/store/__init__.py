"""Feature stores: ordinary Zarr v3 groups or HDF5 files with a ledger of the blocks that count.

What a store is.
_layout         rows, taps, views and blocks, and what they were made from
_attributes     the attributes and columns of a stranger's store, checked
_dtypes         storage types: what lies on the disk, and what the bytes mean
_quantise       uint8 codes: a scale and an offset for each channel
_directory      where it lies: a path or a URL, and the directory that stays the same under any name
_ledger         which blocks count, and the seal of all other files
_record         one block of the ledger: rows, samples, checksums

Engines: how its bytes lie on the disk.
_engine         the contract
_registry       the engines by name; which one a directory belongs to
_zarr_engine    Zarr v3
_hdf5_engine    HDF5: a file a block and an index
_hdf5_files     HDF5 files where the disk may be full, and files of strangers
_block_files    big files of a block: written, linked and flushed in threads

Writing, in the order in which it happens.
_writer         `StoreWriter`: a new store, what is there, grown, or anew
_staging        the folder beside the store in which its one writer works
_folder_lock    the lock of that folder
_continuation   how what is stored stands to what is asked
_changes        which images come and go
_growth         what a grown store takes over from the old one, and what is left to compute
_claims         which process computes which block
_block_writer   a block: values, flush, ledger record
_history        what the extractions took, in a report beside the store

Reading, in the order in which it happens.
_snapshot       opening beside a writer, so that all that is read is of one moment
_reader         `Store`: rows by number
_labels         whether a row has a label
_twins          the same store with other labels, splits or taps
_tap_rows       rows of one tap: mapped, or decoded chunk by chunk
_mapped_rows    many files as one array
_dask_array     lazy arrays over the whole store

Looking after it.
verify          every checksum against its bytes, and repair
diff            how two stores differ
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udta.store._block_writer import BlockWriter
from udta.store._changes import Changes
from udta.store._claims import Claims
from udta.store._continuation import Continuation, compare_with_stored, known_layout, sealed_layout
from udta.store._directory import is_absent_or_empty, store_path, stored_bytes
from udta.store._dtypes import STORAGE_TYPES, as_tensor, not_finite, storable_as, stored_dtype, value_dtype
from udta.store._growth import Part, only_more
from udta.store._history import add_run
from udta.store._labels import MULTICLASS
from udta.store._layout import BATCH_ROWS, Layout, default_block_rows, row_bytes
from udta.store._mapped_rows import MappedRows
from udta.store._reader import Store, open_store
from udta.store._record import Record
from udta.store._registry import ENGINES, codecs_of, engine_at
from udta.store._twins import relabelled, twin
from udta.store._writer import IfStale, StoreWriter

if TYPE_CHECKING:
    from udta.store._quantise import Quantiser
else:

    def __getattr__(name: str) -> Any:
        # It computes with torch, which takes two seconds to load; who asks for engines and storage types alone, such as
        # `udta extract --help`, does without.
        if name != "Quantiser":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from udta.store._quantise import Quantiser

        return Quantiser


__all__ = [
    "BATCH_ROWS",
    "ENGINES",
    "MULTICLASS",
    "STORAGE_TYPES",
    "BlockWriter",
    "Changes",
    "Claims",
    "Continuation",
    "IfStale",
    "Layout",
    "MappedRows",
    "Part",
    "Quantiser",
    "Record",
    "Store",
    "StoreWriter",
    "add_run",
    "as_tensor",
    "codecs_of",
    "compare_with_stored",
    "default_block_rows",
    "engine_at",
    "is_absent_or_empty",
    "known_layout",
    "not_finite",
    "only_more",
    "open_store",
    "relabelled",
    "row_bytes",
    "sealed_layout",
    "storable_as",
    "store_path",
    "stored_bytes",
    "stored_dtype",
    "twin",
    "value_dtype",
]
