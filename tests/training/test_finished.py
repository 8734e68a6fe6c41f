"""What a training leaves is not replaced unasked, and says what was not measured."""

import json

import numpy as np
import pytest
from made_stores import make_layout, write_store

import udta
from udta.errors import AdapterError, ConfigError
from udta.store import twin

RECIPE = {"epochs": 1}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "s"
    write_store(path, make_layout(40))
    return udta.open_store(path)


def train(store, out, **changes):
    return udta.train(store, out=out, **{"adapter": "linear", "recipe": RECIPE, **changes})


def files(run):
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in run.iterdir()}


@pytest.mark.parametrize("adapter", ["linear", "ridge", "auto"])
def test_a_finished_run_is_not_trained_again(store, tmp_path, adapter, monkeypatch):
    how = {
        "linear": {"adapter": "linear", "recipe": RECIPE},
        "ridge": {"adapter": "ridge", "recipe": {}},
        "auto": {"adapter": "auto", "options": {"candidates": ["ridge", "linear"], "folds": 2}, "recipe": RECIPE},
    }[adapter]
    first = train(store, tmp_path / "run", **how)
    before = files(tmp_path / "run")
    monkeypatch.setattr("udta.training.train.fit", None)
    monkeypatch.setattr("udta.training.train.select", None)
    again = train(store, tmp_path / "run", **how)
    assert files(tmp_path / "run") == before
    assert (first.found, again.found) == (False, True)
    assert again.to_json() == first.to_json()


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"adapter": "concat_linear"}, "adapter: there 'linear', asked 'concat_linear'"),
        ({"seed": 1}, "seed: there 0, asked 1"),
        ({"recipe": {"epochs": 2}}, "recipe/epochs: there 1, asked 2"),
        ({"rows": [1, 2, 4, 5, 7]}, "training images: there"),
        ({"test_split": "train"}, "test split: there 'test', asked 'train'"),
        ({"adapter": "auto", "options": {"folds": 2}}, "adapter: there 'linear', asked 'auto'"),
    ],
)
def test_another_finished_run_is_left_alone_unless_overwriting_is_asked_for(store, tmp_path, changes, difference):
    train(store, tmp_path / "run")
    before = files(tmp_path / "run")
    with pytest.raises(AdapterError, match=r"another finished run.*--out.*--overwrite") as caught:
        train(store, tmp_path / "run", **changes)
    assert difference.replace("'", '"') in str(caught.value)
    assert files(tmp_path / "run") == before


def test_another_stores_run_is_told_by_its_features(store, tmp_path):
    layout = make_layout(40, fingerprint=udta.open_store(store.path).fingerprint.part("views"))
    write_store(tmp_path / "other", layout)
    train(store, tmp_path / "run")
    with pytest.raises(AdapterError, match="features/backbone/weights: there"):
        train(tmp_path / "other", tmp_path / "run")


def test_overwriting_trains_anew(store, tmp_path):
    train(store, tmp_path / "run")
    assert not train(store, tmp_path / "run", seed=1, overwrite=True).found
    assert train(store, tmp_path / "run", seed=1).found


def test_a_run_that_cannot_be_read_is_left_alone(store, tmp_path):
    train(store, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").write_text("{")
    with pytest.raises(AdapterError, match=r"cannot be read.*--overwrite"):
        train(store, tmp_path / "run")
    assert train(store, tmp_path / "run", overwrite=True).metrics


def test_few_shot_goes_on_with_the_runs_that_are_there_and_refuses_others(store, tmp_path):
    how = {"out": tmp_path / "few", "adapter": "linear", "recipe": RECIPE, "seeds": 1}
    udta.fewshot(store, shots=[1], **how)
    before = files(tmp_path / "few" / "1" / "0")
    udta.fewshot(store, shots=[1, 2], **how)
    assert files(tmp_path / "few" / "1" / "0") == before
    with pytest.raises(AdapterError, match="another finished run"):
        udta.fewshot(store, shots=[1], **how | {"adapter": "concat_linear"})
    udta.fewshot(store, shots=[1], overwrite=True, **how | {"adapter": "concat_linear"})


# --- splits


def test_every_unknown_split_is_named_before_anything_is_done(store, tmp_path):
    with pytest.raises(ConfigError) as caught:
        train(store, tmp_path / "run", split="trian", test_split="tset", recipe={"epoch": 1})
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "'trian': did you mean 'train'" in text
    assert "'tset': did you mean 'test'" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda store, out: udta.FeatureLoader(store, split="tset"),
        lambda store, out: udta.export(store, to="npy", out=out, split="tset"),
        lambda store, out: udta.fewshot(store, out=out, test_split="tset"),
        lambda store, out: udta.evaluate(out / "run", store, split="tset"),
    ],
)
def test_an_unknown_split_is_refused_everywhere(store, tmp_path, call):
    with pytest.raises(ConfigError, match="'tset': did you mean 'test'"):
        call(store, tmp_path)


def test_a_store_without_a_test_split_is_trained_on_without_metrics(store, tmp_path):
    alone = twin(store)
    alone.splits = np.full(len(store), "train")
    report = train(alone, tmp_path / "run")
    assert report.metrics == {}
    assert "top1" not in json.loads((tmp_path / "run" / "metrics.json").read_text())
    with pytest.raises(ConfigError, match="no split 'test'"):
        train(alone, tmp_path / "other", test_split="test")
    assert train(alone, tmp_path / "third", test_split="train").metrics["n"] == len(store)


def test_a_test_split_without_labels_does_not_stop_a_training_at_its_end(store, tmp_path):
    unlabelled = twin(store)
    unlabelled.labels = np.where(store.splits == "test", -1, store.labels)
    assert train(unlabelled, tmp_path / "run").metrics == {}


def test_classes_that_were_never_trained_on_are_told(store, tmp_path):
    rows = store.rows("train")
    report = train(store, tmp_path / "run", rows=rows[store.labels[rows] == 1])
    assert report.untrained == ("dog",)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["untrained_classes"] == ["dog"]
    measured = udta.evaluate(tmp_path / "run", store)
    dogs = int((store.labels[store.rows("test")] == 0).sum())
    assert measured["untrained"] == {"classes": ["dog"], "images": dogs}
    train(store, tmp_path / "all")
    assert "untrained" not in udta.evaluate(tmp_path / "all", store)
