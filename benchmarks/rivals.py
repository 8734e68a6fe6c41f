"""What people read features with: Lance, Hugging Face datasets, Arrow. Each is left out where it is not installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic import CHANNELS

Batches = Callable[[int, np.random.Generator], Iterator[tuple[int, np.ndarray]]]
Run = Callable[[], int]
_CHUNK = 512


def _tables(folder: Path, rows: int) -> Iterator[Any]:
    """Arrow tables of some rows: a fixed-size list of float16 for each tap."""
    import pyarrow

    sources = {tap: np.load(folder / f"{tap}.npy", mmap_mode="r") for tap in CHANNELS}
    for start in range(0, rows, _CHUNK):
        columns = {}
        for tap, source in sources.items():
            flat = np.ascontiguousarray(source[start : start + _CHUNK]).reshape(-1)
            columns[tap] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat), CHANNELS[tap] * 49)
        yield pyarrow.table(columns)


def lance_rows(folder: Path, rows: int, rng: np.random.Generator, batches: Batches) -> Run | None:
    """`LanceDataset.take` of random rows, as NumPy."""
    try:
        import lance
        import pyarrow
    except ImportError:
        return None
    tables = _tables(folder, rows)
    first = next(tables)

    def record_batches() -> Iterator[Any]:
        yield from first.to_batches()
        for table in tables:
            yield from table.to_batches()

    reader = pyarrow.RecordBatchReader.from_batches(first.schema, record_batches())
    dataset = lance.write_dataset(reader, str(folder / "lance"))

    def run() -> int:
        done = 0
        for number, index in batches(rows, rng):
            if number == 12:
                break
            table = dataset.take(index.tolist())
            for tap in CHANNELS:
                table[tap].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            done += len(index)
        return done

    return run


def hugging_face_rows(folder: Path, rows: int, rng: np.random.Generator, batches: Batches) -> Run | None:
    """`Dataset.with_format("torch")`, indexed by a list of rows."""
    try:
        import datasets
    except ImportError:
        return None
    sources = {tap: np.load(folder / f"{tap}.npy", mmap_mode="r") for tap in CHANNELS}
    features = datasets.Features(
        {tap: datasets.Array3D((channels, 7, 7), "float16") for tap, channels in CHANNELS.items()}
    )

    def examples() -> Iterator[dict[str, Any]]:
        for row in range(rows):
            yield {tap: source[row] for tap, source in sources.items()}

    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_generator(
        examples, features=features, cache_dir=str(folder / "hugging-face")
    ).with_format("torch")

    def run() -> int:
        done = 0
        for number, index in batches(rows, rng):
            if number == 4:
                break
            dataset[index.tolist()]
            done += len(index)
        return done

    return run


def arrow_rows(folder: Path, rows: int, rng: np.random.Generator, batches: Batches) -> Run | None:
    """A memory-mapped Arrow file whose columns are seen as NumPy arrays without a copy, rows gathered from every chunk."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        return None
    path = folder / "features.arrow"
    writer = None
    for table in _tables(folder, rows):
        writer = writer or pyarrow.ipc.new_file(str(path), table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
    chunks = {
        tap: [chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in table[tap].chunks] for tap in CHANNELS
    }

    def run() -> int:
        for _, index in batches(rows, rng):
            where, local = np.divmod(index, _CHUNK)
            for parts in chunks.values():
                out = np.empty((len(index), parts[0].shape[1]), np.float16)
                for position, (chunk, row) in enumerate(zip(where.tolist(), local.tolist(), strict=True)):
                    out[position] = parts[chunk][row]
                del out
        return rows

    return run
