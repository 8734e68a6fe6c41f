"""Cached against live logits."""

import pytest

import udta
from udta.backbones import TapForward
from udta.errors import AdapterError, FeatureError, ImageError
from udta.store._tap_rows import TapRows

TAPS = "stage1=grid(4),stage2=avg"
TRAIN = {"adapter": "concat_linear", "recipe": {"epochs": 15, "batch_size": 8, "lr": 1e-2, "weight_decay": 0.1}}


def test_float32_features_are_what_the_backbone_gives(photos, tmp_path):
    udta.extract(photos, backbone="toy:net", taps=TAPS, dtype="float32", out=tmp_path / "s.zarr")
    udta.train(tmp_path / "s.zarr", out=tmp_path / "run", **TRAIN)
    report = udta.parity(tmp_path / "run", tmp_path / "s.zarr", samples=100, backbone="toy:net")
    assert (report.images, report.same_top1, report.differing) == (6, 1.0, ())
    assert report.largest < 1e-4 < report.spread


@pytest.fixture(scope="module")
def run(toy_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity") / "run"
    udta.train(toy_store, out=folder, **TRAIN)
    return folder


def test_float16_features_differ_by_rounding(toy_store, run):
    report = udta.parity(run, toy_store, split=None, backbone="toy:net")
    assert (report.images, report.same_top1) == (16, 1.0)
    assert 0 < report.rms <= report.largest < 0.02 * report.spread


def test_a_store_that_holds_other_values_is_found_out(toy_store, run, monkeypatch):
    """Features that were swapped between images look entirely normal, and give other classes."""
    store = udta.open_store(toy_store)
    take = TapRows.take
    monkeypatch.setattr(
        TapRows, "take", lambda self, slots, local, out: take(self, slots, (local + 8) % len(store), out)
    )
    report = udta.parity(run, store, split=None, samples=len(store), backbone="toy:net")
    assert report.same_top1 < 0.5
    assert len(report.differing) == round((1 - report.same_top1) * 24)
    assert f"DIFFERENT: {report.differing[0]}" in str(report)


def test_another_backbone_is_refused(toy_store, run):
    with pytest.raises(AdapterError, match="backbone/"):
        udta.parity(run, toy_store, backbone="toy:net?width=8&nan=true")


def test_images_that_are_gone_are_named(toy_store, run, tmp_path):
    with pytest.raises(ImageError, match="cannot be read"):
        udta.parity(run, toy_store, images=tmp_path, backbone="toy:net")


def test_live_features_that_are_not_finite_are_no_class(toy_store, run, monkeypatch):
    class Overflowing(TapForward):
        def __call__(self, images):
            return {tap: values / 0 for tap, values in super().__call__(images).items()}

    monkeypatch.setattr("udta.extraction._compute.TapForward", Overflowing)  # not where the code is probed before
    with pytest.raises(FeatureError, match=r"4 of 4 image\(s\) is not finite, such as '\w+/\d+.png'"):
        udta.parity(run, toy_store, samples=4, backbone=udta.build_backbone("toy:net"))


def test_evaluate_reports_it(toy_store, run):
    metrics = udta.evaluate(run, toy_store, parity=4, backbone="toy:net")
    assert metrics["parity"]["images"] == 4
    assert metrics["parity"]["same_top1"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "points"), [("float16", 0.005), ("uint8", 0.02)])
def test_real_photographs(real_data, tmp_path, dtype, points):
    """Top-1 from the store and from the backbone on 200 photographs: 99.5 % the same in float16, near in uint8."""
    udta.extract(
        real_data / "real" / "monkeys",
        backbone="torchvision.models.quantization:mobilenet_v2?quantize=false",
        weights=str(real_data / "weights" / "mobilenet_v2_relu.pth"),
        taps="features.13=grid(7),features.18=avg",
        dtype=dtype,
        out=tmp_path / "s.zarr",
    )
    udta.train(tmp_path / "s.zarr", out=tmp_path / "run", recipe={"epochs": 10})
    report = udta.parity(tmp_path / "run", tmp_path / "s.zarr", samples=200, split=None)  # named by the store itself
    assert report.same_top1 >= 1 - points, str(report)
    assert report.rms < 0.1 * report.spread
