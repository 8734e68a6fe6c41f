"""A store under other labels, splits or classes."""

from __future__ import annotations

from udta.store.reader import Store


def twin(store: Store) -> Store:
    """The same open store as another object, whose attributes may be set (its own way of copying is to open it again)."""
    copy = Store.__new__(Store)
    copy.__dict__.update(store.__dict__)
    return copy
