"""An image whose features are not finite is a bad image like any other: it is named, and nothing is made of it."""

import csv

import numpy as np
import pytest
import zarr
from PIL import Image
from toy import photographs

import udta
from udta.adapters import load_adapter
from udta.errors import FeatureError

OPTIONS = {"taps": "stage1=grid(4),stage2=avg", "compute": "float32"}
BAD = "dog/002.png"
OVERFLOW, NAN = ("toy:net?loud=1e7", "white"), ("toy:net?nan=true", "black")


@pytest.fixture
def folder(tmp_path):
    return photographs(tmp_path / "photos")


def spoil(folder, colour):
    Image.new("RGB", (24, 20), colour).save(folder / BAD)


CASES = [
    ("float16", OVERFLOW, "tap 'stage1' overflows float16, which ends at 65504: --dtype bfloat16 or float32"),
    ("bfloat16", NAN, "tap 'stage1' is NaN"),
    ("uint8", NAN, "tap 'stage1' is NaN"),
]


@pytest.mark.parametrize(("dtype", "how", "reason"), CASES)
def test_it_is_named_or_skipped_and_changes_no_other_row(folder, tmp_path, dtype, how, reason):
    backbone, colour = how
    spoil(folder, colour)
    with pytest.raises(FeatureError, match=f"^{BAD}: {reason[:12]}"):
        udta.extract(folder, out=tmp_path / "s", backbone=backbone, dtype=dtype, **OPTIONS)
    assert not (tmp_path / "s").exists()
    report = udta.extract(folder, out=tmp_path / "s", backbone=backbone, dtype=dtype, on_error="skip", **OPTIONS)
    assert report.skipped.keys() == {BAD}
    assert report.skipped[BAD].startswith(reason)
    store = udta.open_store(tmp_path / "s")
    assert len(store.rows()) == 23
    for values in store.read(store.rows(), dtype="float32").values():
        assert np.isfinite(values).all()
    row = zarr.open_group(tmp_path / "s", mode="r")["taps/stage2"][store.ids.tolist().index(BAD)]
    if dtype != "uint8":  # which has no code for it
        bits = {"float16": 0x7E00, "bfloat16": 0x7FC0}[dtype]
        assert (row.view(np.uint16) == bits).all()  # a reader without our ledger sees NaN


def test_predicting_gives_it_no_class(folder, tmp_path):
    backbone, colour = OVERFLOW
    udta.extract(folder, out=tmp_path / "s", backbone=backbone, **OPTIONS)
    names = ("linear", "concat_linear")
    for name in names:
        udta.train(tmp_path / "s", adapter=name, out=tmp_path / name, recipe={"epochs": 1})
    runs = {"adapters": [tmp_path / name for name in names], "backbone": backbone, "out": tmp_path / "p.csv"}
    spoil(folder, colour)
    with pytest.raises(FeatureError, match=rf"^{BAD}: tap .* overflows float16"):
        udta.predict(folder, **runs)
    assert not (tmp_path / "p.csv").exists()
    report = udta.predict(folder, on_error="skip", **runs)
    assert (report.images, list(report.skipped)) == (23, [BAD])
    lines = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [(line["label"], line["probability"]) for line in lines if line["path"] == BAD] == [("", "")] * 2
    assert all(line["label"] and float(line["probability"]) > 0 for line in lines if line["path"] != BAD)


def test_scores_that_are_not_finite_are_no_prediction_either(toy_store, photos, tmp_path, monkeypatch):
    udta.train(toy_store, adapter="linear", out=tmp_path / "run", recipe={"epochs": 1})

    def broken(path):
        adapter, header = load_adapter(path)
        for parameter in adapter.parameters():
            parameter.data.fill_(float("inf"))
        return adapter, header

    monkeypatch.setattr("udta.prediction._shared_pass.load_adapter", broken)
    runs = {"adapters": [tmp_path / "run"], "backbone": "toy:net", "out": tmp_path / "p.csv"}
    with pytest.raises(FeatureError, match=r"bird/000\.png: adapter .*run gives NaN or infinite scores"):
        udta.predict(photos, **runs)
    report = udta.predict(photos, on_error="skip", **runs)
    assert (report.images, len(report.skipped)) == (0, 24)


def test_exporting_names_what_the_asked_type_cannot_hold(folder, tmp_path):
    backbone, colour = OVERFLOW
    spoil(folder, colour)
    udta.extract(folder, out=tmp_path / "s", backbone=backbone, dtype="float32", **OPTIONS)
    with pytest.raises(FeatureError, match=f"^{BAD}: tap .* overflows float16"):
        udta.export(tmp_path / "s", to="npy", dtype="float16", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    udta.export(tmp_path / "s", to="npy", out=tmp_path / "e")


def test_features_that_are_not_finite_any_more_differ(folder, tmp_path):
    """A NaN compares with no tolerance: it passed for equal."""
    spoil(folder, "black")
    network = udta.build_backbone("toy:net?nan=true")
    network.module.nan = False
    options = {**OPTIONS, "dtype": "bfloat16"}
    udta.extract(folder, out=tmp_path / "s", backbone=network, **options)
    network.module.nan = True
    report = udta.recompute(tmp_path / "s", backbone=network, samples=24)
    assert report.differing == (BAD,)
    assert all(value < 0.05 for value in report.deviation.values())
