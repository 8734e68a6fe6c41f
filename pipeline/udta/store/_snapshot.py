"""Opening a store beside its writer: everything that is read of it at first is of one moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from udta.errors import NotAStoreError, StoreError, StoreReplacedError
from udta.store._engine import Engine
from udta.store._registry import check_version, engine_at
from udta.store._staging import is_being_written

_T = TypeVar("_T")

# A writer changes metadata, or the names of two stores, within milliseconds.
_ATTEMPTS, _PAUSE_S = 20, 0.05


def read_snapshot(path: Path, look: Callable[[Engine], _T]) -> _T:
    """What `look` gives for the store at `path`, while nothing that it reads was changed.

    The seal is broken before metadata are changed and put anew after it, and the directory is another one when stores changed
    places: where neither happened between the first and the last look, all of them saw the same. Otherwise it looks again.

    Raises:
        NotAStoreError: there is no store at `path`.
        StoreError: what `look` raises; where a writer is at work, only when it goes on for a second.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _once(path, look)
        except StoreError as error:
            if attempt == _ATTEMPTS - 1 or not (isinstance(error, StoreReplacedError) or is_being_written(path)):
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError  # the last attempt returns or raises


def _once(path: Path, look: Callable[[Engine], _T]) -> _T:
    engine = engine_at(path)
    if engine is None:
        if path.exists():
            raise NotAStoreError(f"{path} is not a udta store")
        raise NotAStoreError(f"there is no store at {path}; make one with `udta extract IMAGES ... --out {path}`")
    check_version(engine)
    seal = engine.ledger.stamp()
    engine.directory.watch(engine.ledger.seal_file, seal)
    try:
        found = look(engine)
    except StoreError:
        _check_unchanged(engine, seal)
        raise
    _check_unchanged(engine, seal)
    return found


def _check_unchanged(engine: Engine, seal: bytes) -> None:
    if engine.directory.replaced or engine.ledger.stamp() != seal:
        raise StoreReplacedError(
            f"{engine.directory.path} is changed again and again while it is opened; wait for its writer"
        )
