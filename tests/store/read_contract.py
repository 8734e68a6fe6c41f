"""What a store promises to readers."""

from dataclasses import replace

import numpy as np
import pytest
from engine_contract import EngineContract
from made_stores import TAPS, all_features, typed_layout, write_store

from udta.errors import ConfigError
from udta.store import Quantiser, codecs_of, open_store, value_dtype


class ReadContract(EngineContract):
    """Every value as written, or an error; every storage type and codec."""

    def test_every_row_tap_and_view_reads_back_bit_exactly(self, path, layout):
        write_store(path, layout)
        store, expected = open_store(path), all_features(layout)
        rows = np.random.default_rng(0).permutation(len(layout))
        for tap, values in store.read(rows).items():
            assert values.dtype == layout.taps[tap].dtype
            np.testing.assert_array_equal(values, expected[tap][rows])

    def test_read_selects_taps_views_and_dtype_and_keeps_the_order_asked(self, path, layout):
        write_store(path, layout)
        values = open_store(path).read([7, 0, 7], taps=["head"], views=[1], dtype="float64")
        assert list(values) == ["head"]
        assert values["head"].dtype == np.float64
        np.testing.assert_array_equal(values["head"], all_features(layout)["head"][[7, 0, 7]][:, [1]])

    def test_columns_and_attributes_come_back(self, path, layout):
        write_store(path, layout)
        store = open_store(path)
        assert store.ids.tolist() == list(layout.ids)
        assert store.splits.tolist() == list(layout.splits)
        np.testing.assert_array_equal(store.labels, layout.labels)
        assert store.labels.dtype == np.int64
        assert store.classes == layout.classes
        assert store.fingerprint == layout.fingerprint
        assert store.taps == layout.taps
        assert store.complete
        assert len(store) == 10

    def test_rows_of_a_split_are_ascending_and_an_unknown_split_is_named(self, path, layout):
        write_store(path, layout)
        store = open_store(path)
        assert store.rows("test").tolist() == [0, 3, 6, 9]
        with pytest.raises(ConfigError, match="did you mean 'train'"):
            store.rows("trian")

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"rows": [10]}, IndexError),
            ({"rows": [-1]}, IndexError),
            ({"rows": [0.5]}, ConfigError),
            ({"rows": [0], "taps": ["haed"]}, ConfigError),
            ({"rows": [0], "views": [2]}, ConfigError),
        ],
    )
    def test_what_is_not_there_is_an_error(self, path, layout, arguments, error):
        write_store(path, layout)
        with pytest.raises(error):
            open_store(path).read(**arguments)

    def test_reading_no_rows_gives_empty_arrays(self, path, layout):
        write_store(path, layout)
        assert open_store(path).read([])["head"].shape == (0, 2, 5)

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_every_float_type_reads_back_bit_exactly_and_converts(self, path, dtype):
        layout = typed_layout(dtype)
        write_store(path, layout)
        stored = all_features(layout)["head"]
        values = open_store(path).read(range(10))["head"]
        assert values.dtype == value_dtype(dtype)
        np.testing.assert_array_equal(values.view(stored.dtype), stored)
        np.testing.assert_array_equal(
            open_store(path).read(range(10), dtype="float32")["head"], values.astype(np.float32)
        )

    def test_uint8_gives_codes_and_with_a_dtype_values(self, path):
        rng = np.random.default_rng(0)
        quantisers = {tap.name: Quantiser.fit(rng.standard_normal((20, *tap.shape)).astype(np.float32)) for tap in TAPS}
        layout = replace(typed_layout("uint8"), quantisers=quantisers)
        write_store(path, layout)
        codes, store = all_features(layout)["stage1.0"], open_store(path)
        np.testing.assert_array_equal(store.read(range(10))["stage1.0"], codes)
        scale, offset = (getattr(quantisers["stage1.0"], name).reshape(3, 1, 1) for name in ("scale", "offset"))
        expected = codes.astype(np.float32) * scale + offset
        np.testing.assert_allclose(store.read(range(10), dtype="float32")["stage1.0"], expected, rtol=1e-6, atol=1e-6)
        assert store.layout.quantisers == quantisers

    def test_every_codec_reads_back_bit_exactly(self, path, layout):
        for codec in codecs_of([self.format]):
            other = path.with_name(codec)
            compressed = replace(layout, codec=codec)
            write_store(other, compressed)
            for tap, values in open_store(other).read(np.arange(10)).items():
                np.testing.assert_array_equal(values, all_features(layout)[tap])
        with pytest.raises(ConfigError, match="codec"):
            write_store(path, replace(layout, codec="lz5"))

    def test_more_chunks_than_the_kernel_maps_read_the_same(self, path, layout, monkeypatch):
        write_store(path, layout)
        expected = open_store(path).read([9, 0, 5])
        monkeypatch.setattr("udta.store._tap_rows.MOST_MAPPINGS", 1)
        for tap, values in open_store(path).read([9, 0, 5]).items():
            np.testing.assert_array_equal(values, expected[tap])
