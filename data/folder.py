"""Writing a generated image folder, complete or not at all."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

# Path below the root, and the image.
Named = tuple[str, Image.Image]


def write_folder(root: Path, images: Iterable[Named], splits: Mapping[str, Mapping[str, str]]) -> None:
    """Write PNG files and `<name>.csv` split files (`path,split`) into a folder beside `root`, then put it in its place."""
    root.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        made.chmod(0o755)
        for path, image in images:
            (made / path).parent.mkdir(exist_ok=True)
            image.save(made / path)
        for name, rows in splits.items():
            with (made / f"{name}.csv").open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("path", "split"))
                writer.writerows(sorted(rows.items()))
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
