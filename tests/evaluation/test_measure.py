"""`udta.evaluate`: what it returns, writes and refuses."""

import csv
import json

import numpy as np
import pytest

import udta
from udta.errors import AdapterError, ConfigError


@pytest.fixture(scope="module")
def runs(toy_store, tmp_path_factory):
    """A trained one, and one that has seen too little."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = {"epochs": 15, "batch_size": 8, "lr": 1e-2, "weight_decay": 0.1}
    udta.train(toy_store, out=folder / "good", adapter="concat_linear", recipe=recipe)
    udta.train(toy_store, out=folder / "poor", adapter="linear", recipe={"epochs": 1}, rows=[0, 8, 16])
    return folder


def test_metrics_hold_intervals_and_the_confusion_matrix(toy_store, runs, tmp_path):
    metrics = udta.evaluate(runs / "good", toy_store, split="train", out=tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text()) == metrics
    matrix = np.array(metrics["confusion"]["matrix"])
    assert metrics["confusion"]["classes"] == ["bird", "cat", "dog"]
    assert matrix.sum(axis=1).tolist() == [6, 6, 6]
    assert np.trace(matrix) / 18 == metrics["top1"]
    assert metrics["top1_low"] <= metrics["top1"] <= metrics["top1_high"]
    assert metrics["top1_views_low"] <= metrics["top1_views"] <= metrics["top1_views_high"]


def test_tables_agree_with_the_metrics(toy_store, runs, tmp_path):
    metrics = udta.evaluate(
        runs / "poor", toy_store, split="train", predictions=tmp_path / "p.csv", confusion=tmp_path / "c.csv"
    )
    store = udta.open_store(toy_store)
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == store.ids[store.rows("train")].tolist()
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == metrics["top1"]
    assert np.mean([row["label"] == row["predicted_views"] for row in rows]) == metrics["top1_views"]
    assert np.mean([row["rank"] == "1" for row in rows]) == metrics["top1"]
    table = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert [row["true/predicted"] for row in table] == list(store.classes)
    assert [[int(row[name]) for name in store.classes] for row in table] == metrics["confusion"]["matrix"]


def test_against_another_run(toy_store, runs):
    first = udta.evaluate(runs / "good", toy_store, split="train")
    second = udta.evaluate(runs / "poor", toy_store, split="train", against=runs / "good")
    compared = second["against"]["single"]
    assert compared["top1"] == first["top1"]
    assert compared["difference"] == pytest.approx(second["top1"] - first["top1"])
    itself = udta.evaluate(runs / "good", toy_store, against=runs / "good")["against"]
    assert (itself["views"]["difference"], itself["views"]["p"]) == (0.0, 1.0)


def test_every_bad_table_name_is_told_before_anything_is_done(toy_store, runs, tmp_path):
    with pytest.raises(ConfigError) as caught:
        udta.evaluate(runs / "good", toy_store, predictions="p.txt", confusion="c", out=tmp_path / "m.json")
    assert len(caught.value.problems) == 2
    assert not (tmp_path / "m.json").exists()


def test_classes_that_the_adapter_does_not_know_are_refused(runs, tmp_path):
    from toy import photographs

    photographs(tmp_path / "photos", per_class=4, classes=("bird", "cow"))
    udta.extract(
        tmp_path / "photos", backbone="toy:net", taps="stage1=grid(4),stage2=avg", views=2, out=tmp_path / "s.zarr"
    )
    with pytest.raises(AdapterError, match="'cow'"):
        udta.evaluate(runs / "good", tmp_path / "s.zarr")
