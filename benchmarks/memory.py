"""Peak memory of one shuffled epoch over a store that is larger than the memory budget.

    python -m benchmarks.memory [--gigabytes 10] [--budget-mb 512] [--folder DIR]

The store has the layout of `benchmarks.read`; its blocks are hard links of one block, so that it takes 24 MB of disk. The epoch
runs in a process of its own, whose peak resident size (mapped pages included) is read from the kernel, once before the epoch and
once after it. Prints both, writes `benchmarks/results/memory.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.synthetic import BLOCK_ROWS, ROW_BYTES, layout, versions, write_store
from udta._files.atomic import write_json
from udta.store import engine_at

RESULT = Path(__file__).parent / "results" / "memory.json"
_EPOCH = """
import sys, time
import udta
from udta._machine.memory import peak_memory
store = udta.open_store(sys.argv[1])
loader = udta.FeatureLoader(store, views=0, memory_budget=int(sys.argv[2]), batch_size=128)
before, started, rows = peak_memory(), time.perf_counter(), 0
for batch in loader:
    rows += len(batch)
print(before, peak_memory(), rows, rows / (time.perf_counter() - started), loader.windowed)
"""


def build(path: Path, n_blocks: int, engine: str) -> None:
    """One block written, the others linked to it."""
    found = layout(n_blocks * BLOCK_ROWS)
    write_store(path, found, engine, stop=1)
    opened = engine_at(path)
    assert opened is not None
    first = opened.ledger.record(0)
    for block in range(1, n_blocks):
        start, stop = found.block_range(block)
        samples = tuple((name, f"{row:064x}") for row, name in enumerate(found.ids[start:stop], start))
        opened.link_block(found, block, opened, first)
        opened.ledger.put(replace(first, block=block, start=start, stop=stop, samples=samples))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--budget-mb", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="where the store goes; a temporary folder by default")
    options = parser.parse_args()
    n_blocks = int(options.gigabytes * 1e9 / ROW_BYTES / BLOCK_ROWS) + 1
    results = {}
    for engine in ("zarr", "hdf5"):
        folder = Path(tempfile.mkdtemp(prefix="udta-memory-", dir=options.folder))
        try:
            build(folder / "store", n_blocks, engine)
            command = [sys.executable, "-c", _EPOCH, str(folder / "store"), str(options.budget_mb * 2**20)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        finally:
            shutil.rmtree(folder)
        before, peak, rows, rate, windowed = done.stdout.split()
        assert windowed == "True"
        results[engine] = {
            "before": int(before),
            "peak": int(peak),
            "rows": int(rows),
            "samples_per_second": float(rate),
        }
        print(
            f"{engine}: {int(rows) * ROW_BYTES / 1e9:.1f} GB read, budget {options.budget_mb} MB, peak resident "
            f"{int(peak) / 2**20:.0f} MB ({int(before) / 2**20:.0f} MB before the epoch), {float(rate):,.0f} samples/s"
        )
    document = {"budget": options.budget_mb * 2**20, "cores": os.cpu_count(), "versions": versions("zarr", "h5py")}
    write_json(RESULT, {**document, "engines": results})


if __name__ == "__main__":
    main()
