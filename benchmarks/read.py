"""Reading shuffled batches: our loader against the limit of memory, and against what people use, in one run.

    python -m benchmarks.read [--rows 10624] [--rounds 7] [--folder DIR]

The data are 1 GB of synthetic features: four float16 taps of 7 x 7, 94 KB a sample; batches of 128 in an exact random order. The
limit is a row gather from warm `np.memmap`s into a ring of 8 buffers that are used again: the faster of one array for each tap
and one record array. Rounds of all contestants alternate, the median counts. Cold readings drop the files from the page cache
before every round and are compared with reading the same files from beginning to end. Prints a table, writes
`benchmarks/results/read.json`.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

import udta
from benchmarks.rivals import arrow_rows, hugging_face_rows, lance_rows
from benchmarks.synthetic import CHANNELS, ROW_BYTES, block, layout, versions, write_store
from udta._files.atomic import write_json

BATCH = 128
RING = 8
RESULT = Path(__file__).parent / "results" / "read.json"
# Fancy indexing takes minutes for an epoch: so many batches of it tell as much.
SLOW_BATCHES = 4


def batches(rows: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Number and rows of every batch of one epoch."""
    order = rng.permutation(rows)
    for number, start in enumerate(range(0, rows, BATCH)):
        yield number, order[start : start + BATCH]


def limit_by_tap(folder: Path, rows: int, rng: np.random.Generator) -> int:
    """One gather for each tap and batch."""
    ring = [
        {tap: np.empty((BATCH, channels, 7, 7), np.float16) for tap, channels in CHANNELS.items()} for _ in range(RING)
    ]
    taps = {tap: np.load(folder / f"{tap}.npy", mmap_mode="r") for tap in CHANNELS}
    for number, index in batches(rows, rng):
        for tap, source in taps.items():
            np.take(source, index, axis=0, out=ring[number % RING][tap][: len(index)], mode="clip")
    return rows


def limit_by_record(folder: Path, rows: int, rng: np.random.Generator) -> int:
    """One gather of whole samples for each batch."""
    source = np.load(folder / "records.npy", mmap_mode="r")
    ring = [np.empty((BATCH, source.shape[1]), np.float16) for _ in range(RING)]
    for number, index in batches(rows, rng):
        np.take(source, index, axis=0, out=ring[number % RING][: len(index)], mode="clip")
    return rows


def ours(store: udta.Store, **options: Any) -> Callable[[], int]:
    """One epoch of our loader."""
    loader = udta.FeatureLoader(store, batch_size=BATCH, views=0, **options)

    def epoch() -> int:
        return sum(len(batch) for batch in loader)

    return epoch


def oindex(store: Path, rows: int, rng: np.random.Generator) -> int:
    """zarr-python's orthogonal indexing."""
    group, done = zarr.open_group(store, mode="r"), 0
    for number, index in batches(rows, rng):
        if number == SLOW_BATCHES:
            break
        for tap in CHANNELS:
            group[f"taps/{tap}"].oindex[index]  # type: ignore[union-attr]
        done += len(index)
    return done


def h5py_fancy(path: Path, group: str, rows: int, rng: np.random.Generator) -> int:
    """h5py's fancy indexing, which wants sorted rows."""
    done = 0
    with h5py.File(path) as file:
        for number, index in batches(rows, rng):
            if number == SLOW_BATCHES:
                break
            for tap in CHANNELS:
                file[group + tap][np.sort(index)]
            done += len(index)
    return done


def drop_from_cache(folder: Path) -> None:
    """Ask the kernel to forget the files' pages."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def sequential(folder: Path) -> float:
    """Bytes per second of reading every feature file from beginning to end."""
    started, done = time.perf_counter(), 0
    buffer = bytearray(8 * 2**20)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                done += count
    return done / (time.perf_counter() - started)


def rate(run: Callable[[], int]) -> float:
    """Samples per second."""
    started = time.perf_counter()
    return run() / (time.perf_counter() - started)


def prepare(folder: Path, rows: int) -> dict[str, udta.Store]:
    """The same features as our stores, `.npy`, and plain HDF5."""
    found = layout(rows)
    for name in ("zarr", "hdf5"):
        write_store(folder / name, found, name)
    write_store(folder / "uint8", layout(rows, "uint8"), "zarr")
    by_tap = {
        tap: np.lib.format.open_memmap(folder / f"{tap}.npy", "w+", np.float16, (rows, channels, 7, 7))
        for tap, channels in CHANNELS.items()
    }
    records = np.lib.format.open_memmap(folder / "records.npy", "w+", np.float16, (rows, ROW_BYTES // 2))
    with h5py.File(folder / "plain.h5", "w") as file:
        for number in range(found.n_blocks):
            start, stop = found.block_range(number)
            features = {tap: values[:, 0] for tap, values in block(found, number).items()}
            for tap, values in features.items():
                by_tap[tap][start:stop] = values
            records[start:stop] = np.concatenate(
                [values.reshape(len(values), -1) for values in features.values()], axis=1
            )
        for tap in CHANNELS:
            file.create_dataset(tap, data=by_tap[tap])
            file.create_dataset(f"chunked/{tap}", data=by_tap[tap], chunks=(64, *by_tap[tap].shape[1:]))
    return {name: udta.open_store(folder / name) for name in ("zarr", "hdf5", "uint8")}


def measure(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Samples per second of every contestant, one list entry a round."""
    stores = prepare(folder, rows)
    rng = np.random.default_rng(0)
    budget = rows * ROW_BYTES // 2
    contestants: dict[str, Callable[[], int]] = {
        "limit: memmap gather by tap": lambda: limit_by_tap(folder, rows, rng),
        "limit: memmap gather of records": lambda: limit_by_record(folder, rows, rng),
        "udta zarr": ours(stores["zarr"]),
        "udta hdf5": ours(stores["hdf5"]),
        "udta uint8 -> float16": ours(stores["uint8"], dtype="float16"),
        "udta zarr, windowed": ours(stores["zarr"], memory_budget=budget),
        "udta hdf5, windowed": ours(stores["hdf5"], memory_budget=budget),
    }
    rivals: dict[str, Callable[[], int]] = {
        "zarr-python oindex": lambda: oindex(folder / "zarr", rows, rng),
        "h5py fancy indexing, contiguous": lambda: h5py_fancy(folder / "plain.h5", "", rows, rng),
        "h5py fancy indexing, chunks of 64": lambda: h5py_fancy(folder / "plain.h5", "chunked/", rows, rng),
    }
    for name, make in (
        ("Lance take", lance_rows),
        ("Hugging Face with_format('torch')", hugging_face_rows),
        ("Arrow zero-copy", arrow_rows),
    ):
        run = make(folder, rows, rng, batches)
        if run is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
        else:
            rivals[name] = run
    for run in contestants.values():
        run()  # warm
    rates: dict[str, list[float]] = {name: [] for name in (*contestants, *rivals)}
    for number in range(rounds):
        for name, run in contestants.items():
            rates[name].append(rate(run))
        for name, run in rivals.items():
            if number < 2:
                rates[name].append(rate(run))
    return {"samples_per_second": rates}


def measure_cold(folder: Path, budget: int) -> dict[str, Any]:
    """Windowed epochs of files that are not in the page cache, and the disk's own speed, in bytes per second."""
    result: dict[str, list[float]] = {}
    for name in ("zarr", "hdf5"):
        for _ in range(3):
            drop_from_cache(folder / name)
            result.setdefault(f"sequential {name}", []).append(sequential(folder / name))
            drop_from_cache(folder / name)
            epoch = ours(udta.open_store(folder / name), memory_budget=budget)
            result.setdefault(f"udta {name}, windowed", []).append(rate(epoch) * ROW_BYTES)
            del epoch
            gc.collect()
    return {"cold_bytes_per_second": result}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_624)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where the data go; a temporary folder by default")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="udta-read-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        measured = measure(folder, options.rows, options.rounds)
        gc.collect()  # pages that are still mapped cannot be dropped from the cache
        measured |= measure_cold(folder, options.rows * ROW_BYTES // 2)
    finally:
        shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in measured["samples_per_second"].items()}
    limit = max(value for name, value in medians.items() if name.startswith("limit"))
    fastest = medians["udta zarr"]
    print(f"{'warm, samples/s':40} {'median':>10} {'of limit':>9} {'udta zarr is':>13}")
    for name, value in medians.items():
        print(f"{name:40} {value:10,.0f} {value / limit:9.3f} {fastest / value:12.1f}x")
    cold = {name: statistics.median(values) for name, values in measured["cold_bytes_per_second"].items()}
    for name in ("zarr", "hdf5"):
        share = cold[f"udta {name}, windowed"] / cold[f"sequential {name}"]
        print(f"cold {name}: {cold[f'udta {name}, windowed'] / 1e6:.0f} MB/s, {share:.2f} of sequential")
    write_json(
        RESULT,
        {
            "rows": options.rows,
            "row_bytes": ROW_BYTES,
            "batch": BATCH,
            "cores": os.cpu_count(),
            "versions": versions("zarr", "h5py", "pylance", "datasets", "pyarrow"),
            "limit_samples_per_second": limit,
            "of_limit": {name: value / limit for name, value in medians.items()},
            "times_faster_than": {
                name: fastest / value for name, value in medians.items() if not name.startswith(("udta", "limit"))
            },
            "cold_of_sequential": {
                name: cold[f"udta {name}, windowed"] / cold[f"sequential {name}"] for name in ("zarr", "hdf5")
            },
            **measured,
        },
    )


if __name__ == "__main__":
    main()
