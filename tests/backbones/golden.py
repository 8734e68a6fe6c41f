"""Features of the shipped backbone as numbers in a file; `python tests/backbones/golden.py` writes it for a new version."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).with_name("golden_features.json")
OPTIONS = {
    "backbone": "udta.backbones.letters:letters_net",
    "taps": "stage2=grid(2),stage3=avg,stage4=none",
    "compute": "float32",
    "dtype": "float32",
}
# Of each tap's values; the rest would tell nothing more.
KEPT = 24


def photographs(folder):
    """Three images by a formula: of the size that the backbone takes, larger, and oblong."""
    for number, (height, width) in enumerate([(32, 32), (80, 80), (57, 93)]):
        row, column, channel = np.ogrid[:height, :width, :3]
        pixels = (row * 7 + column * 13 + channel * 29 + (row * column) // (number + 5)) % 256
        (folder / "any").mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "any" / f"{number}.png")
    return folder


def features(folder):
    """Of each image and tap the first values of view 0, by an extraction into a store."""
    import udta

    udta.extract(photographs(folder), out=folder / "store", **OPTIONS)
    store = udta.open_store(folder / "store")
    return {tap: values[:, 0].reshape(3, -1)[:, :KEPT] for tap, values in store.read(store.rows()).items()}


def main():
    from udta.fingerprint import FEATURE_VERSION

    with tempfile.TemporaryDirectory() as folder:
        found = features(Path(folder))
    rounded = {tap: [[float(f"{value:.7g}") for value in row] for row in rows.tolist()] for tap, rows in found.items()}
    text = json.dumps({"feature_version": FEATURE_VERSION, **rounded})
    FILE.write_text(text.replace("]], ", "]],\n").replace("], ", "],\n  ") + "\n")


if __name__ == "__main__":
    sys.exit(main())
