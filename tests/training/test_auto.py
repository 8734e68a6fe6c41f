"""`auto`: grouped stratified folds, a choice that no test row can change, and a run that says what was picked."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from toy import photographs

import udta
from udta.adapters import load_adapter
from udta.errors import ConfigError
from udta.training._auto import Score, assign_folds, best, select

FEW = {"candidates": ["knn", "ridge"], "folds": 2}


def extracted(images, out):
    return udta.extract(
        images, backbone="toy:net", taps="stage1=grid(4),stage2=avg", views=2, out=out, splits=images / "s.csv"
    )


@pytest.fixture(scope="module")
def split_photos(tmp_path_factory):
    """Six training and two test images a class, the last of them the test images, as a file says."""
    folder = photographs(tmp_path_factory.mktemp("selection") / "photos")
    lines = [
        f"{path.relative_to(folder)},{'test' if path.stem > '005' else 'train'}" for path in folder.glob("*/*.png")
    ]
    (folder / "s.csv").write_text("\n".join(["path,split", *sorted(lines)]))
    return folder


@pytest.fixture(scope="module")
def store(split_photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "photos.zarr"
    extracted(split_photos, path)
    return udta.open_store(path)


def test_folds_are_stratified_and_differ_by_seed(store):
    rows = store.rows("train")
    folds = assign_folds(store, rows, 3, seed=0)
    for label in range(3):
        assert np.bincount(folds[store.labels[rows] == label]).tolist() == [2, 2, 2]
    assert np.array_equal(assign_folds(store, rows, 3, seed=0), folds)
    assert not np.array_equal(assign_folds(store, rows, 3, seed=1), folds)


def test_files_with_the_same_bytes_are_in_the_same_fold(split_photos, tmp_path):
    folder = shutil.copytree(split_photos, tmp_path / "photos")
    for copy in ("002", "004"):
        shutil.copy(folder / "cat" / "000.png", folder / "cat" / f"{copy}.png")
    extracted(folder, tmp_path / "s.zarr")
    store = udta.open_store(tmp_path / "s.zarr")
    rows = store.rows("train")
    for seed in range(5):
        fold = dict(zip(store.ids[rows].tolist(), assign_folds(store, rows, 3, seed).tolist(), strict=True))
        assert fold["cat/000.png"] == fold["cat/002.png"] == fold["cat/004.png"]


def test_no_test_row_can_change_the_choice(store, split_photos, tmp_path):
    """Other pixels in the test images, their classes exchanged, or none at all: the same table to the last digit."""
    changed = shutil.copytree(split_photos, tmp_path / "changed")
    for path in changed.glob("*/00[67].png"):
        Image.new("RGB", (20, 24), "white").save(path)
    (changed / "cat" / "006.png").rename(changed / "dog" / "008.png")
    (changed / "s.csv").write_text((changed / "s.csv").read_text().replace("cat/006", "dog/008"))
    fewer = shutil.copytree(split_photos, tmp_path / "fewer")
    for path in fewer.glob("*/00[67].png"):
        path.unlink()
    (fewer / "s.csv").write_text(
        "\n".join(line for line in (fewer / "s.csv").read_text().split() if "test" not in line)
    )

    def choose(path):
        opened = udta.open_store(path)
        options = {"candidates": ["knn", "ridge", "linear"], "folds": 3}
        return figures(select(opened, opened.rows("train"), options=options, recipe={"epochs": 2}))

    expected = choose(store.path)
    for folder in (changed, fewer):
        extracted(folder, tmp_path / f"{folder.name}.zarr")
        assert choose(tmp_path / f"{folder.name}.zarr") == expected


def figures(selection):
    return selection.picked, [(score.adapter, score.value, score.of_views, score.by_fold) for score in selection.table]


def test_the_run_says_what_was_picked_and_is_the_adapter_trained_alone(store, tmp_path):
    scores = []
    report = udta.train(store, out=tmp_path / "auto", adapter="auto", options=FEW, on_score=scores.append)
    selection = json.loads((tmp_path / "auto" / "metrics.json").read_text())["selection"]
    assert [row["adapter"] for row in selection["table"]] == [score.adapter for score in scores] == ["knn", "ridge"]
    assert selection["picked"] == report.adapter == load_adapter(tmp_path / "auto")[1].adapter
    assert selection["picked"] == best(scores).adapter
    udta.train(store, out=tmp_path / "alone", adapter=report.adapter)
    picked, alone = (load_adapter(tmp_path / run)[0].state_dict() for run in ("auto", "alone"))
    assert picked.keys() == alone.keys()
    assert all(torch.equal(picked[name], alone[name]) for name in alone)
    assert udta.evaluate(tmp_path / "auto", store)["top1"] == report.metrics["top1"]


def test_one_view_decides_then_all_views_then_the_order():
    def score(name, top1, top1_views):
        return Score(name, "top1", top1, top1_views, {}, (), 0.0)

    assert best([score("a", 0.8, 0.9), score("b", 0.9, 0.8)]).adapter == "b"
    assert best([score("a", 0.9, 0.8), score("b", 0.9, 0.9)]).adapter == "b"
    assert best([score("a", 0.9, 0.9), score("b", 0.9, 0.9)]).adapter == "a"


def test_a_recipe_concerns_the_candidates_that_have_one(store, tmp_path):
    options = {"candidates": ["ridge", "linear"], "folds": 2}
    assert udta.train(store, out=tmp_path / "run", adapter="auto", options=options, recipe={"epochs": 1}).epochs == 1
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        udta.train(store, out=tmp_path / "run", adapter="auto", options=options, recipe={"epoch": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": ["rigde"]}, "did you mean 'ridge'"),
        ({"candidates": []}, "candidates"),
        ({"folds": 1}, "folds"),
        ({"fold": 3}, "did you mean 'folds'"),
        ({"folds": 20}, "18 different image"),
    ],
)
def test_wrong_options_are_named(store, options, message):
    with pytest.raises(ConfigError, match=message):
        select(store, store.rows("train"), options=options, recipe={})
