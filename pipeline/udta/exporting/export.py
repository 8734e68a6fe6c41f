"""`udta.export`: what every format has in common - a folder that appears whole, a manifest beside the data."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from udta._console.progress import Progress, announce, watched
from udta._files.atomic import new_folder, sweep, write_json
from udta._files.locks import one_writer_of
from udta._files.paths import file_sha256, local_path
from udta._files.table_file import csv_cell
from udta.errors import StoreError
from udta.exporting._selection import Selection, exported_bytes, select
from udta.exporting.formats.format import INDEX, Format
from udta.exporting.formats.registry import find_format
from udta.store import Store, open_store


@dataclass(frozen=True)
class ExportReport:
    """`rows` samples in `views` views were written to `out`; `bytes` is what all files of it take."""

    out: str
    format: str
    rows: int
    views: tuple[int, ...]
    taps: tuple[str, ...]
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)

    def __str__(self) -> str:
        views = ", ".join(map(str, self.views))
        return f"{self.out}: {self.rows} rows, view {views} of {', '.join(self.taps)} as {self.format}, {self.bytes / 1e6:.1f} MB"


@one_writer_of("out")
@watched("rows")
def export(
    store: str | Path | Store,
    *,
    to: str,
    out: str | Path,
    taps: Sequence[str] | None = None,
    views: Literal["all"] | int | Sequence[int] | None = None,
    split: str | None = None,
    rows: ArrayLike | None = None,
    pool: str = "none",
    dtype: str | None = None,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> ExportReport:
    """Write features of a store in another format, with memory that does not depend on its size.

    Args:
        store: a store.
        to: `parquet` (one row a sample, a fixed-size list for each tap and view), `npy` (an array for each tap), `safetensors`,
            or `zarr` / `hdf5`: a store again, with the very same bits.
        out: a new folder; it appears when everything is in it.
        taps: names; all by default.
        views: numbers or `"all"`; view 0 by default, all of them for a store.
        split: rows of this split; all rows by default. Images that were skipped are left out.
        rows: exactly these rows, written in ascending order.
        pool: `avg` or `max` over the positions of maps and tokens, in float32.
        dtype: `float16` or `float32`; by default the stored one, with values for the codes of uint8 (float16) and float32
            for bfloat16; Parquet is float32 by default, since many of its readers do not know float16.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Returns:
        Where it was written, and how much.

    Raises:
        ConfigError: unknown format, taps, views, split, pool or dtype, or what a format cannot hold.
        StoreError: `out` is not empty or cannot be written.
        OutputBusyError: another process is writing `out`.
        UncommittedRowError: a chosen row was never committed.
        FeatureError: a value of a chosen row is not finite, or not so in `dtype`.

    Example:
        >>> udta.export("photos.zarr", to="npy", out="arrays", split="test").format
        'npy'
    """
    chosen = find_format(to)
    target = local_path("out", out)
    opened = store if isinstance(store, Store) else open_store(store)
    selection = select(
        opened,
        taps=taps,
        views=chosen.views if views is None else views,
        split=split,
        rows=rows,
        pool=pool,
        dtype=chosen.dtype if dtype is None else dtype,
        as_stored=chosen.is_store,
    )
    chosen.check(selection)
    _check_vacant(target)
    try:
        # Under another name beside it, until all is written: a folder of this name is a whole export.
        with new_folder(target) as folder:
            _check_free_space(target, selection)
            chosen.write(folder, selection, partial(announce, "rows"))
            if not chosen.is_store:
                _describe(folder, selection, chosen)
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error.strerror or error})") from error
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    names = tuple(tap.name for tap in selection.taps)
    return ExportReport(str(target), to, len(selection), selection.views, names, size)


def _check_vacant(target: Path) -> None:
    """Raises `StoreError` when something is there: an export replaces nothing, so that no typing mistake removes a folder."""
    sweep(target)  # what killed exports left beside it, and nothing else
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StoreError(f"{target} exists and is not empty; it was left as it is, choose another --out")


def _check_free_space(target: Path, selection: Selection) -> None:
    # Now rather than after an hour; the features alone, beside which labels and names are little.
    needed, free = exported_bytes(selection), shutil.disk_usage(target.parent).free
    if needed > free:
        raise StoreError(f"{target} needs {needed / 1e9:.2f} GB, but its disk has {free / 1e9:.2f} GB free")


def _describe(folder: Path, selection: Selection, chosen: Format) -> None:
    """Add what the data do not say themselves: which image each row is, what all was made from, and checksums."""
    if not chosen.has_index:
        _write_index(folder / "index.csv", selection)
    files = {file.name: _file_entry(file) for file in sorted(folder.iterdir())}
    write_json(folder / "manifest.json", _manifest(selection, chosen.name, files))


def _write_index(path: Path, selection: Selection) -> None:
    """One line for each position of the arrays."""
    store = selection.store
    # Written as it goes, not as a table of columns: a store may have millions of rows, whose names alone are hundreds of MB.
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(INDEX)
        for row in selection.rows.tolist():
            label = int(store.labels[row])
            name = store.classes[label] if label >= 0 else ""  # -1 is no label
            writer.writerow(map(csv_cell, (row, str(store.ids[row]), label, name, str(store.splits[row]))))


def _file_entry(path: Path) -> dict[str, Any]:
    # SHA-256, and not the CRC of our ledgers: `sha256sum` is on every machine that an export may be copied to.
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _manifest(selection: Selection, to: str, files: Mapping[str, Any]) -> dict[str, Any]:
    # No path is in it: an export is given away, and where it was made is nobody's business.
    store = selection.store
    return {
        "format": to,
        "rows": len(selection),  # of the data; which rows of the store they were is in the index
        "views": list(selection.views),
        "pool": selection.pool,
        "taps": [tap.to_json() for tap in selection.taps],
        "classes": list(store.classes),
        "split_rule": store.layout.split_rule,
        "fingerprint": {"sha256": store.fingerprint.digest, **store.fingerprint.fields},
        "files": dict(files),
        "udta": version("udta"),
    }
