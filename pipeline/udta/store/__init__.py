"""Feature stores: ordinary Zarr v3 groups or HDF5 files with a ledger of the blocks that count."""

from udta.store.block_writer import BlockWriter
from udta.store.changes import Changes
from udta.store.claims import Claims
from udta.store.continuation import Standing, known_layout, standing
from udta.store.dtypes import STORAGE_TYPES, as_tensor, not_finite, storable_as, stored_dtype, value_dtype
from udta.store.growth import Part, only_more
from udta.store.history import add_run
from udta.store.layout import BATCH_ROWS, Layout, default_block_rows, row_bytes
from udta.store.ledger import Record
from udta.store.quantise import Quantiser
from udta.store.reader import Store, open_store
from udta.store.registry import ENGINES, engine_at
from udta.store.twin import twin
from udta.store.writer import IfStale, StoreWriter

__all__ = [
    "BATCH_ROWS",
    "ENGINES",
    "STORAGE_TYPES",
    "BlockWriter",
    "Changes",
    "Claims",
    "IfStale",
    "Layout",
    "Part",
    "Quantiser",
    "Record",
    "Standing",
    "Store",
    "StoreWriter",
    "add_run",
    "as_tensor",
    "default_block_rows",
    "engine_at",
    "known_layout",
    "not_finite",
    "only_more",
    "open_store",
    "row_bytes",
    "standing",
    "storable_as",
    "stored_dtype",
    "twin",
    "value_dtype",
]
