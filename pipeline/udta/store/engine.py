"""The contract of a store engine: where the arrays of a store lie and how their bytes are reached.

An engine knows layout and bytes. Which blocks count is the ledger's word, and every rule about rows is in `reader` and `writer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from udta.store.layout import Layout
from udta.store.ledger import Ledger


class Engine(ABC):
    """One store on disk. `path` is a directory; nothing is opened or created by construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path / "ledger")

    @classmethod
    @abstractmethod
    def owns(cls, path: Path) -> bool:
        """Whether `path` is a store of this engine (of any version)."""

    @abstractmethod
    def create(self, layout: Layout) -> None:
        """Write an empty store into `path`, an existing empty directory."""

    @abstractmethod
    def load(self) -> Layout:
        """The layout on disk. Raises `CorruptStoreError` or `NotAStoreError`."""

    @abstractmethod
    def save_rows(self, layout: Layout) -> None:
        """Replace label, split and class names by those of `layout`; ids, taps and views stay."""

    @abstractmethod
    def write_block(self, layout: Layout, block: int, features: Mapping[str, np.ndarray]) -> None:
        """Store `[rows, views, *tap.shape]` for every tap of one block and flush it to the disk."""

    @abstractmethod
    def chunk(self, layout: Layout, tap: str, block: int, view: int) -> np.ndarray:
        """`[rows, *tap.shape]` of one view of one block, read-only, mapped where the bytes allow it."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove unfinished temporaries that a killed writer left."""
