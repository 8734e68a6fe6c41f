"""Feature stores: ordinary Zarr v3 groups with a ledger of the blocks that count."""

from udta.store.layout import Layout, default_block_rows, row_bytes
from udta.store.ledger import Record
from udta.store.reader import Store, open_store
from udta.store.writer import IfStale, StoreWriter

__all__ = ["IfStale", "Layout", "Record", "Store", "StoreWriter", "default_block_rows", "open_store", "row_bytes"]
