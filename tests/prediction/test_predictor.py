"""A predictor says of images in memory what `predict` says of their files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import udta
from udta.adapters import load_adapter
from udta.errors import ConfigError, FeatureError, ImageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_store):
    folder = tmp_path_factory.mktemp("runs")
    # A closed form is certain of these images; what begins at uniform logits and is trained for two epochs is not.
    udta.train(toy_store, out=folder / "ridge", adapter="ridge")
    udta.train(toy_store, out=folder / "soft", adapter="linear", recipe={"epochs": 2})
    return {name: str(folder / name) for name in ("ridge", "soft")}


@pytest.fixture(scope="module")
def predictor(runs):
    return udta.Predictor(list(runs.values()), backbone="toy:net")


@pytest.fixture(scope="module")
def files(photos):
    return sorted(photos.rglob("*.png"))


def test_paths_pictures_and_arrays_are_one(predictor, runs, files):
    of_files = predictor(files)
    assert list(of_files) == list(runs.values())
    array = np.stack([np.asarray(Image.open(file)) for file in files])
    for given in ([Image.open(file) for file in files], array, list(array), torch.from_numpy(array)):
        for path, found in predictor(given).items():
            assert (found.values == of_files[path].values).all()
    one = predictor(array[0])[runs["ridge"]]
    assert one.values == pytest.approx(of_files[runs["ridge"]].values[:1], abs=1e-6)
    assert one.labels == ["bird"]
    [[first, second]] = one.top(2)
    assert first == ("bird", float(one.values.max()))
    assert second[1] == float(np.sort(one.values[0])[-2])
    assert len(of_files[runs["soft"]]) == 24


def test_it_says_what_the_table_says(predictor, runs, photos, files, tmp_path):
    udta.predict(photos, adapters=list(runs.values()), out=tmp_path / "p.csv", backbone="toy:net")
    lines = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    for path, found in predictor(files).items():
        said = [(label, f"{found.values[row].max():.6f}") for row, label in enumerate(found.labels)]
        assert said == [tuple(line[2:]) for line in lines if line[1] == path]


def test_several_views_are_averaged_as_an_evaluation_averages_them(runs, toy_store, files):
    """Store and predictor make the same views of the same files."""
    store = udta.open_store(toy_store)
    adapter, _ = load_adapter(Path(runs["soft"]))
    taps = {tap: torch.from_numpy(values) for tap, values in store.read(store.rows(), dtype="float32").items()}
    with torch.inference_mode():
        logs = adapter({tap: values.flatten(0, 1) for tap, values in taps.items()}).unflatten(0, (-1, 2)).log_softmax(2)
    expected = logs.mean(dim=1).softmax(dim=1).numpy()
    found = udta.Predictor(runs["soft"], backbone="toy:net", views=2)(files)[runs["soft"]]
    np.testing.assert_allclose(found.values, expected, atol=1e-4)
    alone = udta.Predictor(runs["soft"], backbone="toy:net")(files)[runs["soft"]]
    assert np.abs(found.values - alone.values).max() > 1e-3


def test_features_are_those_of_the_store(predictor, runs, toy_store, files):
    store = udta.open_store(toy_store)
    found = predictor.features(files, runs["ridge"])
    assert found
    for tap, values in store.read(store.rows(), taps=list(found), views=[0]).items():
        assert (found[tap].numpy() == values).all()
    assert predictor.pixels(files[0]).shape == (1, 1, *predictor.view_spec.shape)
    with pytest.raises(ConfigError, match="none of this predictor"):
        predictor.features(files, "other")


def test_pictures_are_settled_as_files_are(predictor, runs, tmp_path):
    clear = Image.new("RGBA", (20, 24), (0, 120, 0, 0))
    grey = np.full((24, 20), 255, np.uint8)
    white = predictor(np.full((24, 20, 3), 255, np.uint8))[runs["soft"]].values
    for same in (clear, grey, grey[:, :, None], Image.fromarray(grey)):
        assert (predictor(same)[runs["soft"]].values == white).all()


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (np.zeros((24, 20, 3)), ImageError, "image 0: is an array .* float64: give uint8"),
        (np.zeros((3, 24, 20), np.uint8), ImageError, "has 20 channels, but the backbone takes 3"),
        (["gone.png"], ImageError, "gone.png: cannot be read"),
        ([], ConfigError, "no image"),
        (7, ConfigError, "images are int"),
    ],
)
def test_what_is_no_image_is_named(predictor, wrong, error, says):
    with pytest.raises(error, match=says):
        predictor(wrong)


def test_scores_that_are_not_finite_are_no_answer(toy_store, tmp_path):
    udta.train(toy_store, adapter="linear", out=tmp_path / "run", recipe={"epochs": 1})
    predictor = udta.Predictor(tmp_path / "run", backbone="toy:net")
    for parameter in predictor.adapters[str(tmp_path / "run")].parameters():
        parameter.data.fill_(float("inf"))
    with pytest.raises(FeatureError, match=r"image 0: adapter .*run gives NaN"):
        predictor(np.zeros((2, 24, 20, 3), np.uint8))
