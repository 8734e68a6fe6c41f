"""One image explained: figures that add up to what is predicted of it, a picture, and errors before any work."""

import json

import numpy as np
import pytest
from PIL import Image

import udta
from udta.errors import AdapterError, ConfigError


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_store):
    folder = tmp_path_factory.mktemp("runs")
    udta.train(toy_store, out=folder / "udta", adapter="udta", recipe={"epochs": 2})
    udta.train(toy_store, out=folder / "ridge", adapter="ridge")
    return folder


def test_the_picture_and_the_figures(runs, photos, tmp_path, udta_command):
    image, out = photos / "cat" / "000.png", tmp_path / "new" / "cat.png"
    options = ("--backbone", "toy:net", "--class", "dog", "--out", out, "--json")
    status, printed, _ = udta_command("explain", runs / "udta", image, *options)
    assert status == 0
    said = json.loads(printed)
    predicted = udta.Predictor(runs / "udta", backbone="toy:net")(image)[str(runs / "udta")]
    assert (said["predicted"], said["predicted_probability"]) == pytest.approx(predicted.top(1)[0][0], abs=1e-6)
    assert said["probability"] == pytest.approx(float(predicted.values[0, 2]), abs=1e-6)
    # The store has an average of stage2; the backbone, which is at hand, its map.
    assert {tap: np.shape(each["values"]) for tap, each in said["maps"].items()} == {"stage1": (4, 4), "stage2": (8, 8)}
    total = sum(np.sum(each["values"]) for each in said["maps"].values()) + said["constant"]
    assert total == pytest.approx(said["answer"], abs=1e-4)
    assert said["class"] == "dog"
    with Image.open(out) as picture:
        assert picture.size == (1080, 564)
        assert picture.text["Description"] == said["text"]
    assert "dog: logit" in said["text"]
    assert "(predicted " in said["text"]


def test_without_a_file_it_is_figures_and_an_overlay(runs, photos):
    pixels = np.asarray(Image.open(photos / "dog" / "001.png"))
    found = udta.explain(runs / "udta", pixels, backbone="toy:net")
    assert found.class_name == found.predicted
    assert found.out is None
    assert found.overlay.size == found.view.size == (16, 16)
    assert "most comes from the " in str(found)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("udta", {"class_name": "catt"}, ConfigError, "knows no 'catt': did you mean 'cat'"),
        ("udta", {"out": "x.jpg"}, ConfigError, "'x.jpg', but the picture is a .png"),
        ("ridge", {}, AdapterError, "'ridge' says is no sum over positions"),
    ],
)
def test_what_cannot_be_explained(runs, photos, name, options, error, message):
    with pytest.raises(error, match=message):
        udta.explain(runs / name, photos / "cat" / "000.png", backbone="toy:net", **options)


def test_numbers_have_no_probability(toy_store, photos, tmp_path):
    rows = [f"{path},{index / 7}" for index, path in enumerate(udta.open_store(toy_store).ids)]
    (tmp_path / "numbers.csv").write_text("\n".join(["path,age", *rows]) + "\n")
    udta.train(
        toy_store,
        out=tmp_path / "run",
        adapter="udta",
        recipe={"epochs": 2},
        labels=tmp_path / "numbers.csv",
        task="regression",
    )
    found = udta.explain(tmp_path / "run", photos / "cat" / "000.png", backbone="toy:net")
    assert (found.class_name, found.predicted, found.probability) == ("age", None, None)
    value = udta.Predictor(tmp_path / "run", backbone="toy:net")(photos / "cat" / "000.png")[str(tmp_path / "run")]
    assert found.contributions.answer == pytest.approx(float(value.values[0, 0]), abs=1e-4)
    assert str(found).startswith(f"age {found.contributions.answer:.4g} = ")
