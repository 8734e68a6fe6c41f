"""Stage prepare: images of one dataset -> its manifest (identity, label and split of every sample)."""

from __future__ import annotations

from _common import Params, run

from udta.images import read_images


def prepare(params: Params, name: str) -> None:
    """Write `out/manifests/<name>.json`."""
    dataset, images = params.datasets[name], params.paths.images / name
    manifest = read_images(images, splits=images / dataset.splits if dataset.splits else None, seed=dataset.seed)
    manifest.save(params.paths.out / "manifests" / f"{name}.json")


if __name__ == "__main__":
    run(prepare, "datasets")
