"""Bits that flip and files that are cut off: `verify` finds what changes a value, repair drops it, and no reader crashes."""

import random
import shutil

import numpy as np
import pytest
from made_stores import all_features, block_features, make_hashes, make_layout, tree, write_store

from udta.errors import UdtaError
from udta.store import ENGINES, StoreWriter, open_store
from udta.store.verify import verify

SEED = 20_220_311


def damage(path, rng):
    """One flipped bit or one file cut off, anywhere in a store; returns what was done."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    # Every kind of file as often, whatever it weighs.
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
        what = f"{file.relative_to(path)} cut to {len(content)}"
    else:
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        what = f"{file.relative_to(path)} bit {bit}"
    file.write_bytes(bytes(content))
    return what


def everything(path):
    """All that a reader gets of a store, or the name of the error."""
    try:
        store = open_store(path)
        rows = store.rows()
        features = {tap: values.tobytes() for tap, values in store.read(rows).items()}
        return rows.tolist(), features, store.ids.tolist(), store.labels.tolist(), store.splits.tolist(), store.classes
    except UdtaError as error:
        return type(error).__name__


@pytest.mark.parametrize("accidents", [15, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_accident_that_changes_a_value_is_found_and_repaired(tmp_path, engine, accidents):
    layout, rng = make_layout(24, block_rows=4), random.Random(SEED)
    sound = tmp_path / "sound"
    write_store(sound, layout, format=engine)
    truth, reference = everything(sound), tree(sound)
    assert verify(sound).sound
    harmful = 0
    for _ in range(accidents):
        path = tmp_path / "store"
        shutil.copytree(sound, path)
        what = f"seed {SEED}: {damage(path, rng)}"
        seen = everything(path)
        try:
            found = not verify(path, repair=True).sound
        except UdtaError:
            found = True
        assert found or seen == truth, what
        harmful += found
        if found and (path / "ledger").exists():
            try:
                write_store(path, layout, format=engine)
            except UdtaError:
                pass  # so little was left that it says so
            else:
                assert everything(path) == truth, what
                assert verify(path).sound, what
        shutil.rmtree(path)
    assert harmful > accidents / 2
    assert tree(sound) == reference


@pytest.mark.parametrize("engine", ["zarr", "hdf5"])
def test_a_bad_block_is_named_dropped_and_computed_alone(tmp_path, engine):
    layout, path = make_layout(24, block_rows=4), tmp_path / "store"
    write_store(path, layout, format=engine)
    files = {"zarr": path / "taps" / "head" / "c.3.1.0", "hdf5": path / "blocks" / "000003.h5"}
    content = bytearray(files[engine].read_bytes())
    content[-9] ^= 16
    files[engine].write_bytes(bytes(content))
    report = verify(path)
    assert not report.sound
    assert [(bad.block, bad.rows) for bad in report.bad] == [(3, (12, 16))]
    assert report.committed_blocks == 6
    assert open_store(path).complete  # nothing was dropped yet
    assert verify(path, repair=True).dropped == [3]
    assert not open_store(path).complete
    with StoreWriter(path, layout, make_hashes(layout)) as writer:
        assert writer.missing == [3]
        writer.write(3, block_features(layout, 3))
    assert verify(path).sound
    for tap, values in open_store(path).read(range(24)).items():
        np.testing.assert_array_equal(values, all_features(layout)[tap])
