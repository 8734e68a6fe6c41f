"""docs/store-format.md is enough: its own reader, which knows nothing of udta, reads every kind of store as udta does."""

import importlib.util
import re
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from made_stores import block_features, make_hashes, make_layout

import udta
from udta.fingerprint import TapSpec
from udta.store import Quantiser, StoreWriter

PAGE = (Path(__file__).parent.parent.parent / "docs" / "store-format.md").read_text()
KINDS = [("zarr", "none"), ("zarr", "zstd"), ("zarr", "gzip"), ("hdf5", "none"), ("hdf5", "gzip"), ("hdf5", "lzf")]
TAPS = (
    TapSpec("map", "grid(2)", (3, 2, 2), "float16"),
    TapSpec("vector", "avg", (5,), "float32"),
    TapSpec("vector@cls", "cls", (5,), "bfloat16", "vector"),
    TapSpec("codes", "grid(2)", (3, 2, 2), "uint8"),
    TapSpec("tokens", "tokens", (4, 3), "uint8"),
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The module in the page."""
    [text] = re.findall(r"^```python\n(# store_reader\.py\n.*?)^```$", PAGE, re.M | re.S)
    assert "import udta" not in text
    file = tmp_path_factory.mktemp("format") / "store_reader.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("store_reader", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(request, tmp_path):
    """Ten rows in blocks of four, the last one shorter, with every storage type and one image that was skipped."""
    kind, codec = request.param
    ranges = np.random.default_rng(0).uniform(-1, 1, (8, 3, 2, 2)).astype(np.float32)
    quantisers = {"codes": Quantiser.fit(ranges), "tokens": Quantiser.fit(ranges.reshape(8, 4, 3))}
    layout = make_layout(taps={tap.name: tap for tap in TAPS}, quantisers=quantisers, codec=codec)
    path = tmp_path / f"store.{kind}"
    with StoreWriter(path, layout, make_hashes(layout), format=kind) as writer:
        for block in writer.missing:
            writer.write(block, block_features(layout, block), {9: "no image"} if block == 2 else {})
    return path


@pytest.mark.parametrize("store", KINDS, indirect=True, ids="-".join)
def test_the_reader_of_the_page_reads_what_udta_reads(reader, store):
    ours, found = udta.open_store(store), reader.StoreReader(store)
    assert found.ids == ours.ids.tolist()
    assert found.labels == ours.labels.tolist()
    assert found.splits == ours.splits.tolist()
    assert found.classes == list(ours.classes)
    blocks = [found.block(number) for number in found.committed]
    assert [record["rows"] for record, _ in blocks] == [[0, 4], [4, 8], [8, 10]]
    assert blocks[2][0]["skipped"] == {"9": "no image"}
    assert dict(sample for record, _ in blocks for sample in record["samples"]) == ours.hashes
    for tap in ours.taps:
        said = np.concatenate([found.values(tap, stored[tap]) for _, stored in blocks])
        assert said.dtype == np.float32
        np.testing.assert_array_equal(said[:9], ours.read(np.arange(9), taps=[tap], dtype="float32")[tap])
        assert np.isnan(blocks[2][1][tap][1]).all() or ours.taps[tap].dtype in ("uint8", "bfloat16")


def read_all(reader, store):
    found = reader.StoreReader(store)
    return [found.block(number) for number in found.committed]


@pytest.mark.parametrize("store", [KINDS[0], KINDS[3]], indirect=True, ids="-".join)
def test_a_flipped_bit_is_noticed_wherever_it_is(reader, store):
    for file in [path for path in store.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        # In the middle of it: the end of a last chunk is padding.
        middle = 2 * len(content) // 5
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises((reader.Damaged, ValueError, KeyError)):
            read_all(reader, store)
        file.write_bytes(content)
    read_all(reader, store)


def test_the_check_value_of_the_page_is_that_of_the_checksum():
    assert f"of the nine bytes `123456789` it is `{google_crc32c.value(b'123456789'):08x}`" in PAGE
