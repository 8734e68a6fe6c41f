"""Stage prepare: images of one dataset -> its manifest (identity, label and split of every sample)."""

from __future__ import annotations

from pathlib import Path

from udta._files.atomic import write_bytes
from udta._files.paths import read_regular
from udta.config import Params
from udta.errors import DataError
from udta.images import read_images
from udta.project._places import labels_path, manifest_path
from udta.project.running import Result


def prepare(params: Params, name: str) -> Result:
    """Write `out/datasets/<name>/manifest.json`, and a copy of its labels: what is trained must not change behind DVC's back."""
    images, splits = params.images(name), params.file_of(name, "splits")
    manifest = read_images(images, splits=splits, seed=params.datasets[name].seed)
    manifest.save(manifest_path(params, name))
    if copy := labels_path(params, name):
        write_bytes(copy, _labels(params.file_of(name, "labels") or copy, name))
    return {
        "dataset": name,
        "images": len(manifest),
        "classes": len(manifest.classes),
    }, f"{name}: {len(manifest):,} images"


def _labels(file: Path, name: str) -> bytes:
    try:
        return read_regular(file)
    except OSError as error:
        raise DataError(f"{file}: the labels of dataset {name!r} cannot be read ({error.strerror})") from error
