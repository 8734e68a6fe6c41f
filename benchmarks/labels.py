"""How much later a training starts whose labels come from a file.

    python -m benchmarks.labels [--rows 100000]

The store is synthetic, with features of eight numbers, so that what is measured comes before the first step. `udta train` with a
closed form is run as a process, without a file and with one as CSV, Parquet and JSON lines, in turn; the best of each counts.
Processor seconds stand beside them, which others on the machine lengthen less. Writes `benchmarks/results/labels.json`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.synthetic import versions
from udta._files.atomic import write_json
from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, StoreWriter

RESULT = Path(__file__).parent / "results" / "labels.json"
N_CLASSES, N_FEATURES, BLOCK_ROWS = 10, 8, 4096


def write_store(path: Path, rows: int) -> list[str]:
    """A store whose own labels are the same as the file's; returns the ids."""
    names = [f"class-{row % N_CLASSES}/{row:08d}.jpg" for row in range(rows)]
    layout = Layout(
        ids=tuple(names),
        labels=np.arange(rows) % N_CLASSES,
        splits=tuple("test" if row % 10 == 9 else "train" for row in range(rows)),
        classes=tuple(f"class-{number}" for number in range(N_CLASSES)),
        taps={"head": TapSpec("head", "avg", (N_FEATURES,), "float16")},
        n_views=1,
        block_rows=BLOCK_ROWS,
        fingerprint=Fingerprint({"dtype": "float16"}),
    )
    with StoreWriter(path, layout, [f"{row + 1:064x}" for row in range(rows)]) as writer:
        for block in writer.missing:
            start, stop = layout.block_range(block)
            values = np.random.default_rng(block).standard_normal((stop - start, 1, N_FEATURES))
            writer.write(block, {"head": values.astype(np.float16)})
    return names


def write_labels(folder: Path, names: list[str]) -> dict[str, Path]:
    """The labels in every format, by its name."""
    files = {name: folder / f"labels.{name}" for name in ("csv", "parquet", "jsonl")}
    labels = [name.partition("/")[0] for name in names]
    pairs = list(zip(names, labels, strict=True))
    files["csv"].write_text("\n".join(["path,label", *(f"{name},{label}" for name, label in pairs)]) + "\n")
    files["jsonl"].write_text("\n".join(json.dumps({"path": name, "label": label}) for name, label in pairs) + "\n")
    pq.write_table(pa.table({"path": names, "label": labels}), files["parquet"])
    return files


def train(store: Path, out: Path, labels: Path | None) -> dict[str, float]:
    """Wall and processor seconds of one `udta train`, which ends with the figures of its test split."""
    command = [sys.executable, "-m", "udta", "train", str(store), "--adapter", "ridge", "--out", str(out)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command + (["--labels", str(labels)] if labels else []), check=True, capture_output=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu_seconds": sum(after[:2]) - sum(before[:2])}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="udta-labels-") as name:
        folder = Path(name)
        files = write_labels(folder, write_store(folder / "store", options.rows))
        for repeat in range(options.repeats):
            for what, file in (("without", None), *files.items()):
                runs.setdefault(what, []).append(train(folder / "store", folder / f"{what}-{repeat}", file))
    best = {
        what: {kind: round(min(run[kind] for run in found), 3) for kind in found[0]} for what, found in runs.items()
    }
    later = {
        what: {kind: round(figures[kind] - best["without"][kind], 3) for kind in figures}
        for what, figures in best.items()
        if what != "without"
    }
    result: dict[str, Any] = {
        "rows": options.rows,
        "repeats": options.repeats,
        "best": best,
        "later": later,
        "versions": versions("pyarrow"),
    }
    print(json.dumps(result, indent=2))
    write_json(RESULT, result)


if __name__ == "__main__":
    main()
