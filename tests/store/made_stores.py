"""Stores that tests make: ten small images of two classes, and features that depend on the block, or on what an image holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, StoreWriter, stored_dtype, value_dtype

TAPS = (TapSpec("stage1.0", "grid(2)", (3, 2, 2), "float16"), TapSpec("head", "avg", (5,), "float32"))


def make_layout(n=10, views=2, block_rows=4, **changes):
    fields = {"feature_version": 1, "backbone": {"weights": "aa"}, "views": {"count": views, "seed": 0}}
    layout = Layout(
        ids=tuple(f"cat/{row}.png" if row % 2 else f"dog/{row}.png" for row in range(n)),
        labels=np.arange(n) % 2,
        splits=tuple("test" if row % 3 == 0 else "train" for row in range(n)),
        classes=("dog", "cat"),
        taps={tap.name: tap for tap in TAPS},
        n_views=views,
        block_rows=block_rows,
        fingerprint=Fingerprint(fields),
        split_rule="file",
        source={"images": "photos"},
    )
    return replace(layout, **changes)


def make_hashes(layout):
    return [f"{row + 1:064x}" for row in range(len(layout))]  # zeros are those of a file that cannot be read


def block_features(layout, block, seed=0):
    start, stop = layout.block_range(block)
    rng = np.random.default_rng([seed, block])
    return {
        tap.name: random_features(rng, (stop - start, layout.n_views, *tap.shape), tap.dtype)
        for tap in layout.taps.values()
    }


def random_features(rng, shape, dtype):
    """As stored: finite values of any storage type."""
    if dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    values = rng.standard_normal(shape)
    return values.astype(value_dtype(dtype)).view(stored_dtype(dtype))


def all_features(layout, seed=0):
    blocks = [block_features(layout, block, seed) for block in range(layout.n_blocks)]
    return {tap: np.concatenate([block[tap] for block in blocks]) for tap in layout.taps}


def write_store(path, layout, blocks=None, **options):
    with StoreWriter(path, layout, make_hashes(layout), **options) as writer:
        for block in writer.missing if blocks is None else blocks:
            writer.write(block, block_features(layout, block))


def tree(path: Path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def typed_layout(dtype):
    taps = {tap.name: replace(tap, dtype=dtype) for tap in TAPS}
    return replace(make_layout(), taps=taps)


def growing_layout(taps, views, ids=None):
    """A layout whose fingerprint says taps and views as an extraction's does."""
    fields = {
        "taps": {tap.name: {"reducer": tap.reducer, "shape": list(tap.shape)} for tap in taps},
        "views": {"count": views, "seed": 0},
    }
    layout = make_layout(len(ids) if ids else 10, views)
    return replace(
        layout,
        ids=ids or layout.ids,
        taps={tap.name: tap for tap in taps},
        fingerprint=Fingerprint(fields),
    )


def feature(tap, content, view):
    """What a backbone would give for an image of this content."""
    rng = np.random.default_rng([int(content, 16) % 2**31, view, len(tap.name)])
    return random_features(rng, tap.shape, tap.dtype)


def write_missing(writer, hashes, blocks=None):
    """Up to so many blocks of what a store lacks, as extraction does; returns the number of (row, view, tap) computed."""
    layout, computed = writer.layout, 0
    for block in writer.missing[:blocks]:
        start, stop = layout.block_range(block)
        features = {
            name: np.zeros((stop - start, layout.n_views, *tap.shape), stored_dtype(tap.dtype))
            for name, tap in layout.taps.items()
        }
        writer.recall(block, features)
        for part in writer.parts(block):
            for tap in part.taps:
                for view in part.views:
                    for row in part.rows:
                        features[tap][row - start, view] = feature(layout.taps[tap], hashes[row], view)
                        computed += 1
        writer.write(block, features)
    return computed
