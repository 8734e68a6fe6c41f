"""Feature stores: ordinary Zarr v3 groups or HDF5 files with a ledger of the blocks that count."""

from udta.store._block_writer import BlockWriter
from udta.store._changes import Changes
from udta.store._claims import Claims
from udta.store._continuation import Continuation, compare_with_stored, known_layout
from udta.store._directory import is_absent_or_empty, store_path
from udta.store._dtypes import STORAGE_TYPES, as_tensor, not_finite, storable_as, stored_dtype, value_dtype
from udta.store._growth import Part, only_more
from udta.store._history import add_run
from udta.store._layout import BATCH_ROWS, Layout, default_block_rows, row_bytes
from udta.store._mapped_rows import MappedRows
from udta.store._quantise import Quantiser
from udta.store._reader import Store, open_store, twin
from udta.store._record import Record
from udta.store._registry import ENGINES, engine_at
from udta.store._writer import IfStale, StoreWriter

__all__ = [
    "BATCH_ROWS",
    "ENGINES",
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
    "compare_with_stored",
    "default_block_rows",
    "engine_at",
    "is_absent_or_empty",
    "known_layout",
    "not_finite",
    "only_more",
    "open_store",
    "row_bytes",
    "storable_as",
    "store_path",
    "stored_dtype",
    "twin",
    "value_dtype",
]
