"""Three small stores whose bytes are recorded: a whole one, one that grew by images, a tap and views, one that skipped an image.

    python tests/extraction/recorded_stores.py      # records them anew

Everything in them is exact on every processor: the images are BMP files of the size that the backbone sees, and the backbone only
reorders, scales by powers of two and takes maxima, so that no sum depends on the order of its terms.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

FILE = Path(__file__).with_suffix(".json")
sys.path.insert(0, str(Path(__file__).parent))
BACKBONE = "recorded_stores:net"


class Twice(nn.Module):
    def forward(self, values):
        return 2 * values


class ExactNet(nn.Module):
    """A map of 3 x 8 x 8, one of 3 x 4 x 4, and a vector of 3."""

    input_spec = {"evaluate": "resize(16,16)", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.MaxPool2d(2), nn.Sequential(nn.MaxPool2d(2), Twice()), nn.Flatten()

    def forward(self, images):
        return self.head(self.second(self.first(images)).amax((2, 3)))


def net():
    return ExactNet()


def images(folder, per_class, first=0):
    for index, name in enumerate(("bird", "cat")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            rng = np.random.default_rng([index, number])
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{number:03d}.bmp")
    return folder


def make(folder: Path) -> dict[str, Path]:
    """The stores by name, below `folder`."""
    import udta

    common = {"backbone": BACKBONE, "augment": "resize(16,16)|flip", "compute": "float32", "device": "cpu"}
    photos, out = images(folder / "photos", 40), folder / "stores"
    udta.extract(photos, taps="first,second", views=3, dtype="float32", out=out / "whole", **common)
    grown = {"taps": "second", "dtype": "bfloat16", "format": "hdf5", "out": out / "grown", **common}
    udta.extract(photos, **grown)
    images(photos, 7, first=40)
    udta.extract(photos, **{**grown, "taps": "first=grid(8),second", "views": 2})
    (photos / "cat" / "004.bmp").write_bytes(b"BM and no more")
    skipping = {"taps": "first,second=avg", "views": 2, "dtype": "uint8", "on_error": "skip"}
    udta.extract(photos, **skipping, out=out / "skipping", **common)
    return {name: out / name for name in ("whole", "grown", "skipping")}


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of a store's fingerprint, samples and values by tap; of a Zarr store also of its chunk and ledger files."""
    import udta

    store = udta.open_store(path)
    rows = np.arange(len(store))[[row not in store.skipped for row in range(len(store))]]
    samples = [store.ids.tolist(), store.labels.tolist(), store.splits.tolist(), store.hashes, sorted(store.skipped)]
    values = {tap: store.read(rows, taps=[tap])[tap] for tap in store.taps}
    # What zarr-python and HDF5 write of their own accord depends on their versions.
    ours = (
        [*sorted(path.glob("taps/*/c/**/*")), *sorted(path.glob("ledger/*/zarr.json"))]
        if store.format == "zarr"
        else []
    )
    files = hashlib.sha256()
    for file in filter(Path.is_file, ours):
        files.update(f"{file.relative_to(path)} {hashlib.sha256(_without_folder(file, path)).hexdigest()}\n".encode())
    return {
        "files": files.hexdigest(),
        "fingerprint": store.fingerprint.digest,
        "samples": hashlib.sha256(json.dumps(samples).encode()).hexdigest(),
        **{
            f"tap {tap}": hashlib.sha256(np.ascontiguousarray(found).tobytes()).hexdigest()
            for tap, found in values.items()
        },
    }


def _without_folder(file: Path, store: Path) -> bytes:
    """A record quotes the place of an image that was skipped."""
    return file.read_bytes().replace(str(store.parent.parent).encode(), b"")


def record() -> dict[str, dict[str, str]]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return {name: digests(path) for name, path in make(Path(folder)).items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), indent=2) + "\n")
