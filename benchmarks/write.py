"""Writing blocks: our writer against raw files that are renamed into place, and against the libraries' own ways, in one run.

    python -m benchmarks.write [--blocks 24] [--rounds 3] [--folder DIR]

A block is 256 samples of four float16 taps of 7 x 7 (24 MB). Ours commits every block: chunks, checksums, flush, ledger record.
Raw writes the same bytes as one file a tap and renames it, once without and once with a flush to the disk. Prints a table, writes
`benchmarks/results/write.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import zarr

from benchmarks.synthetic import BLOCK_ROWS, CHANNELS, ROW_BYTES, block, layout, versions, write_store
from udta._files.atomic import write_json

RESULT = Path(__file__).parent / "results" / "write.json"
Blocks = dict[int, dict[str, np.ndarray]]


def raw(folder: Path, blocks: Blocks, flush: bool) -> None:
    """One file for each tap and block under a temporary name, renamed."""
    folder.mkdir()
    for number, features in blocks.items():
        for tap, values in features.items():
            temporary = folder / f"{tap}.{number}.partial"
            with temporary.open("wb", buffering=0) as file:
                file.write(values.reshape(-1).view(np.uint8).data)
                if flush:
                    os.fsync(file.fileno())
            temporary.rename(folder / f"{tap}.{number}")


def zarr_python(folder: Path, blocks: Blocks) -> None:
    """Arrays with one chunk a block, written by slices; chunk keys and everything else as zarr-python does by default."""
    group, rows = zarr.create_group(folder), len(blocks) * BLOCK_ROWS
    arrays = {
        tap: group.create_array(tap, shape=(rows, n, 7, 7), chunks=(BLOCK_ROWS, n, 7, 7), dtype="f2", compressors=None)
        for tap, n in CHANNELS.items()
    }
    for number, features in blocks.items():
        for tap, values in features.items():
            arrays[tap][number * BLOCK_ROWS : (number + 1) * BLOCK_ROWS] = values[:, 0]


def h5py_slices(folder: Path, blocks: Blocks) -> None:
    """One file with one contiguous dataset for each tap, written by slices: unreadable after a kill."""
    folder.mkdir()
    rows = len(blocks) * BLOCK_ROWS
    with h5py.File(folder / "features.h5", "w") as file:
        arrays = {tap: file.create_dataset(tap, (rows, channels, 7, 7), "f2") for tap, channels in CHANNELS.items()}
        for number, features in blocks.items():
            for tap, values in features.items():
                arrays[tap][number * BLOCK_ROWS : (number + 1) * BLOCK_ROWS] = values[:, 0]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data go; a temporary folder by default")
    options = parser.parse_args()
    found = layout(options.blocks * BLOCK_ROWS)
    blocks = {number: block(found, number) for number in range(options.blocks)}
    size = options.blocks * BLOCK_ROWS * ROW_BYTES
    contestants: dict[str, Callable[[Path], None]] = {
        "raw temp + rename": lambda place: raw(place, blocks, flush=False),
        "raw temp + fsync + rename": lambda place: raw(place, blocks, flush=True),
        "udta zarr": lambda place: write_store(place, found, "zarr", blocks),
        "udta hdf5": lambda place: write_store(place, found, "hdf5", blocks),
        "zarr-python, by slices": lambda place: zarr_python(place, blocks),
        "h5py, one file, by slices": lambda place: h5py_slices(place, blocks),
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, write in contestants.items():
            folder = Path(tempfile.mkdtemp(prefix="udta-write-", dir=options.folder))
            os.sync()
            started = time.perf_counter()
            write(folder / "store")
            rates[name].append(size / (time.perf_counter() - started))
            shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    limit = medians["raw temp + rename"]
    print(f"{'':28} {'MB/s':>8} {'of raw':>7} {'of raw + fsync':>15}")
    for name, value in medians.items():
        print(f"{name:28} {value / 1e6:8.0f} {value / limit:7.2f} {value / medians['raw temp + fsync + rename']:15.2f}")
    write_json(
        RESULT,
        {
            "bytes": size,
            "cores": os.cpu_count(),
            "versions": versions("zarr", "h5py"),
            "bytes_per_second": rates,
            "of_raw": {name: value / limit for name, value in medians.items()},
            "of_raw_with_fsync": {
                name: value / medians["raw temp + fsync + rename"] for name, value in medians.items()
            },
        },
    )


if __name__ == "__main__":
    main()
