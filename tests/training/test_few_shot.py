"""Few-shot curves: nested subsets, ordinary trainings, and what is left in the folder."""

import csv
import json

import numpy as np
import pytest

import udta
from udta.errors import ConfigError
from udta.training.few_shot import few_rows, parse_shots

FAST = {"adapter": "linear", "recipe": {"epochs": 2}}


def test_subsets_are_nested_stratified_and_seeded():
    rows, labels = np.arange(100, 140), np.repeat([0, 1, 2, 4], 10)
    before = np.array([], dtype=int)
    for shots in (1, 2, 5, 10, None):
        few = few_rows(rows, labels, shots, seed=3)
        assert set(before) <= set(few.tolist())
        assert np.bincount(labels[few - 100]).tolist() == [shots or 10] * 3 + [0, shots or 10]
        assert few.tolist() == sorted(few.tolist()) == few_rows(rows, labels, shots, seed=3).tolist()
        before = few
    assert few_rows(rows, labels, 2, seed=3).tolist() != few_rows(rows, labels, 2, seed=4).tolist()


def test_a_class_with_fewer_images_gives_what_it_has():
    assert few_rows(np.arange(5), np.array([0, 0, 0, 0, 1]), 3, seed=0).tolist()[-1] == 4
    assert len(few_rows(np.arange(5), np.array([0, 0, 0, 0, 1]), 3, seed=0)) == 4


def test_the_curve_and_its_files(toy_store, tmp_path):
    seen = []
    report = udta.fewshot(
        toy_store,
        out=tmp_path / "few",
        shots=(1, 2, None),
        seeds=[0, 7],
        on_run=lambda run, done, total: seen.append((run.shots, run.seed, done, total)),
        **FAST,
    )
    assert seen == [(1, 0, 1, 6), (1, 7, 2, 6), (2, 0, 3, 6), (2, 7, 4, 6), (None, 0, 5, 6), (None, 7, 6, 6)]
    assert [(point["shots"], point["images"], point["seeds"]) for point in report.curve] == [
        (1, 3, 2),
        (2, 6, 2),
        (None, 18, 2),
    ]
    document = json.loads((tmp_path / "few" / "few_shot.json").read_text())
    assert document == report.to_json()
    for point in document["curve"]:
        values = [run["top1"] for run in document["runs"] if run["shots"] == point["shots"]]
        assert point["top1"] == pytest.approx(np.mean(values))
        assert point["top1_std"] == pytest.approx(np.std(values, ddof=1))
    rows = list(csv.DictReader((tmp_path / "few" / "few_shot.csv").read_text().splitlines()))
    assert [row["shots"] for row in rows] == ["1", "1", "2", "2", "all", "all"]
    assert len(str(report).splitlines()) == 4
    run = json.loads((tmp_path / "few" / "2" / "7" / "metrics.json").read_text())
    assert (run["train_samples"], run["top1"]) == (6, document["runs"][3]["top1"])


def test_all_shots_are_an_ordinary_training(toy_store, tmp_path):
    report = udta.fewshot(toy_store, out=tmp_path / "few", shots=[None], seeds=1, **FAST)
    udta.train(toy_store, out=tmp_path / "run", **FAST)
    files = [tmp_path / part / "adapter.safetensors" for part in ("few/all/0", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert report.curve[0]["top1_std"] is None
    assert "+-" not in str(report)


def test_everything_wrong_is_told_at_once(toy_store, tmp_path):
    with pytest.raises(ConfigError) as caught:
        udta.fewshot(toy_store, out=tmp_path / "few", shots=(0, 1), seeds=0, test_split="tset")
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "few").exists()


def test_shots_as_users_write_them():
    assert parse_shots("1,5,all") == [1, 5, None]
    with pytest.raises(ConfigError, match="'two' is neither"):
        parse_shots("1,two")
