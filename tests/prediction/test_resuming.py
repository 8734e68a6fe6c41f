"""A prediction that was stopped, or failed, goes on; see also `test_unfinished_table`."""

import shutil

import pytest
from toy import photographs

import udta
from udta.errors import ImageError


@pytest.fixture(scope="module")
def world(tmp_path_factory, toy_store):
    """Three batches and a half of images, and two runs."""
    root = tmp_path_factory.mktemp("world")
    photographs(root / "photos", per_class=38, seed=5)
    udta.train(toy_store, out=root / "ridge", adapter="ridge")
    udta.train(toy_store, out=root / "linear", adapter="linear", recipe={"epochs": 1})
    return root


def predicted(world, out, images="photos", stop_after=None, **options):
    def stop(phase, done, total, note):
        if done == stop_after:
            raise KeyboardInterrupt

    runs = [world / "ridge", world / "linear"]
    return udta.predict(world / images, adapters=runs, out=out, backbone="toy:net", progress=stop, **options)


@pytest.mark.parametrize(
    ("name", "options"), [("p.csv", {}), ("p.parquet", {"top_k": 2, "probabilities": True, "views": 2})]
)
def test_it_ends_with_the_same_bytes(world, tmp_path, name, options):
    """Features of the images behind are computed in the batches in which they would have been."""
    predicted(world, tmp_path / "whole" / name, **options)
    with pytest.raises(KeyboardInterrupt):
        predicted(world, tmp_path / name, stop_after=64, **options)
    assert not (tmp_path / name).exists()
    report = predicted(world, tmp_path / name, **options)
    assert (report.resumed, report.images) == (64, 114)
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_bad_image_loses_nothing_of_what_came_before(world, tmp_path):
    shutil.copytree(world / "photos", tmp_path / "photos")
    (tmp_path / "photos" / "dog" / "020.png").write_bytes(b"none")
    with pytest.raises(ImageError):
        predicted(world, tmp_path / "p.csv", images=tmp_path / "photos")
    report = predicted(world, tmp_path / "p.csv", images=tmp_path / "photos", on_error="skip")
    assert report.resumed == 96
    assert list(report.skipped) == ["dog/020.png"]
    line = report.table["path"].index("dog/020.png")
    assert (report.table["label"][line], report.table["probability"][line]) == ("", None)
