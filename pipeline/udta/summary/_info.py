"""`udta.info`: what lies at a path."""

from __future__ import annotations

from pathlib import Path

from udta._files.adapter_document import NAME
from udta.errors import AdapterError
from udta.store import engine_at, open_store, store_path
from udta.summary._run_info import CHECKPOINT, RunInfo, read_run
from udta.summary._runs_info import RunsInfo, read_runs
from udta.summary._store_info import StoreInfo


def info(path: str | Path) -> StoreInfo | RunInfo | RunsInfo:
    """What a store, a run, an adapter file or a folder of runs is, as its files tell it.

    Values are not compared with their checksums: `udta.verify` does that for a store, `udta.load_adapter` for an adapter.

    Args:
        path: a store or its URL, a run folder, an adapter file, or a folder with runs in it, such as that of a sweep.

    Returns:
        `StoreInfo`, `RunInfo` or `RunsInfo`: what was found, as attributes, as JSON (`to_json`) and as text (`str`).

    Raises:
        NotAStoreError: it is none of these.
        CorruptStoreError, AdapterError: it is one, and damaged or of another version.

    Example:
        >>> print(udta.info("photos.zarr").document["rows"])
        24
    """
    where = store_path(path)
    if where.is_file() or (where.is_dir() and (where / NAME).exists()):
        return read_run(where)
    if where.is_dir() and engine_at(where) is None:
        if (where / CHECKPOINT).exists():
            raise AdapterError(
                f"{where} is a training that was interrupted: the same `udta train` goes on with it, and then it is a run"
            )
        if found := read_runs(where):
            return found
    return StoreInfo.of(open_store(where))
