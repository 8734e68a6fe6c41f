"""Stores behind a URL are read through zarr-python, with the same ledger and the same checks."""

import numpy as np
import pytest
from made_stores import all_features, block_features, make_hashes, make_layout, write_store

from udta import FeatureLoader, open_store, verify
from udta.errors import ConfigError, CorruptStoreError, NotAStoreError, StoreReplacedError
from udta.store import StoreWriter

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("upath", reason="needs the extra `s3`")


@pytest.fixture
def url(tmp_path):
    """A store in fsspec's memory file system."""
    write_store(tmp_path / "store", make_layout())
    memory = fsspec.filesystem("memory")
    for file in (tmp_path / "store").rglob("*"):
        if file.is_file():
            memory.pipe(f"/store/{file.relative_to(tmp_path / 'store').as_posix()}", file.read_bytes())
    yield "memory://store"
    memory.rm("/store", recursive=True)


def test_a_url_reads_like_a_folder(url):
    store = open_store(url)
    assert store.complete
    for tap, values in store.read([7, 0, 9]).items():
        np.testing.assert_array_equal(values, all_features(make_layout())[tap][[7, 0, 9]])
    rows = [row for batch in FeatureLoader(store, split=None, batch_size=3) for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(10))
    assert verify(url).sound


def test_damage_behind_a_url_is_found(url):
    memory = fsspec.filesystem("memory")
    content = bytearray(memory.cat("/store/taps/head/c.1.0.0"))
    content[3] ^= 1
    memory.pipe("/store/taps/head/c.1.0.0", bytes(content))
    assert [bad.block for bad in verify(url).bad] == [1]
    with pytest.raises(ConfigError, match="local"):
        verify(url, repair=True)
    memory.rm("/store/taps/head/c.1.0.0")
    with pytest.raises(CorruptStoreError, match="is missing"):
        open_store(url).read([4])


def test_another_store_at_the_url_of_an_open_one_is_not_read_as_the_old_one(url, tmp_path):
    store, memory = open_store(url), fsspec.filesystem("memory")
    write_store(tmp_path / "other", make_layout(classes=("a", "b")), blocks=[])
    with StoreWriter(tmp_path / "other", make_layout(classes=("a", "b")), make_hashes(make_layout())) as writer:
        for block in writer.missing:
            writer.write(block, block_features(make_layout(), block, seed=1))
    for file in (tmp_path / "other").rglob("*"):
        if file.is_file():
            memory.pipe(f"/store/{file.relative_to(tmp_path / 'other').as_posix()}", file.read_bytes())
    with pytest.raises(StoreReplacedError):
        store.read([7])
    assert open_store(url).classes == ("a", "b")


def test_there_is_no_store(url):
    with pytest.raises(NotAStoreError):
        open_store("memory://nothing")
