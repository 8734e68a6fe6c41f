"""What was planted is found, first."""

import csv
import json

import numpy as np
import pytest
from planted import LEAKS, MISLABELLED, ODD, SAME_BYTES

import udta
from udta.errors import AdapterError, ConfigError
from udta.inspection._map import _tsne


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_planted_leaks_are_the_first_pairs_of_two_splits(inspected):
    leaks = inspected[0].leaks
    pairs = {(first, second) for first, second in zip(leaks["first"][:3], leaks["second"][:3], strict=True)}
    assert pairs == {(source, f"{source.split('/')[0]}/{what}.jpg") for what, source in LEAKS.items()}
    assert set(leaks["split_first"]) == {"train"}
    assert len(leaks["first"]) <= 4  # and hardly anything beside them
    assert leaks["likeness"] == sorted(leaks["likeness"], reverse=True)


def test_equal_files_come_before_all_that_is_alike(inspected):
    duplicates = inspected[0].duplicates
    assert {duplicates["first"][0], duplicates["second"][0]} == {SAME_BYTES, "dog/same.png"}
    assert duplicates["same_bytes"][0]
    assert duplicates["split_first"] == duplicates["split_second"]


def test_changed_labels_are_the_most_suspicious_and_the_likely_ones(inspected):
    errors = inspected[0].label_errors
    assert set(errors["path"][:2]) == set(MISLABELLED)
    assert [name for name, likely in zip(errors["path"], errors["likely"], strict=True) if likely] == errors["path"][:2]
    assert errors["suggested"][errors["path"].index("cat/bird.png")] == "bird"
    assert len(errors["path"]) == inspected[0].images


def test_an_image_unlike_all_others_stands_first(inspected):
    outliers = inspected[0].outliers
    assert outliers["path"][0] == ODD
    assert outliers["unusual"][0]


def test_small_classes_are_those_with_few_images_in_a_split(inspected):
    classes = inspected[0].classes
    assert classes["class"][0] == "bird"  # the smallest
    assert classes["images_test"] == [9, 9, 9]
    assert classes["too_small"] == [True] * 3
    assert all(0 <= accuracy <= 1 for accuracy in classes["held_out_accuracy"])


def test_files_hold_every_line_and_the_document_counts_them(inspected):
    found, out = inspected
    document = json.loads((out / "inspection.json").read_text())
    assert document == json.loads(json.dumps(found.to_json()))
    assert document["counts"]["leaks"] == len(read(out / "leaks.csv")) == len(found.leaks["first"])
    assert [line["path"] for line in read(out / "label_errors.csv")] == found.label_errors["path"]
    assert {path.name for path in out.iterdir()} == {*(f"{name}.csv" for name in found.tables), "inspection.json"}
    lines = read(out / "map.csv")
    assert len(lines) == found.images
    assert np.isfinite([[float(line[name]) for name in ("pca_1", "pca_2", "tsne_1", "tsne_2")] for line in lines]).all()


def test_the_summary_names_the_worst_of_each(inspected):
    text = str(inspected[0])
    for name in ("cat/recompressed.jpg", "dog/same.png", "cat/bird.png", ODD, "9 test"):
        assert name in text


def test_a_run_is_held_against_the_test_split(planted_store, tmp_path):
    udta.train(planted_store, adapter="ridge", out=tmp_path / "run")
    found = udta.inspect(planted_store, adapter=tmp_path / "run")
    assert set(found.wrong["split"]) <= {"test"}
    metrics = udta.evaluate(tmp_path / "run", planted_store)
    assert len(found.wrong["path"]) == round(metrics["n"] * (1 - metrics["top1"]))
    assert "test" in found.answers
    assert len(found.label_errors["path"]) == found.images


def test_a_run_of_other_features_is_refused(planted_store, toy_store, tmp_path):
    udta.train(toy_store, adapter="ridge", out=tmp_path / "run")
    with pytest.raises(AdapterError, match="other features"):
        udta.inspect(planted_store, adapter=tmp_path / "run")


def test_of_several_labels_what_makes_sense_is_done_and_the_rest_is_said(planted_store, tmp_path):
    ids = udta.open_store(planted_store).ids.tolist()
    lines = [f"{name},{'a;b' if number % 3 else 'a'}" for number, name in enumerate(ids)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    found = udta.inspect(planted_store, labels=tmp_path / "labels.csv", task="multilabel")
    assert found.label_errors is None
    assert found.wrong is None
    assert found.leaks["first"][0] == LEAKS["recompressed"]
    assert dict(zip(found.classes["class"], found.classes["images"], strict=True))["a"] == len(ids)
    assert any("multilabel" in note for note in found.notes)


def test_the_verb_prints_names_and_with_json_one_document(planted_store, tmp_path, udta_command):
    status, out, err = udta_command("inspect", planted_store, "--out", tmp_path / "found", "--json")
    assert status == 0
    assert json.loads(out)["leaks"][0]["first"] == LEAKS["recompressed"]
    assert "leaks.csv" in err
    status, _, err = udta_command("inspect", planted_store, "--labels", tmp_path / "no.csv")
    assert (status, "no.csv" in err) == (2, True) or (status, "no.csv" in err) == (1, True)


def test_two_images_are_too_few(toy_store, tmp_path, photos):
    (tmp_path / "a").mkdir()
    for number, path in enumerate(sorted(photos.rglob("*.png"))[:2]):
        (tmp_path / "a" / f"{number}.png").write_bytes(path.read_bytes())
    udta.extract(tmp_path / "a", backbone="toy:net", taps="stage2=avg", out=tmp_path / "two.zarr")
    with pytest.raises(ConfigError, match="below three"):
        udta.inspect(tmp_path / "two.zarr")


def test_no_map_is_drawn_of_images_that_are_all_alike():
    """scikit-learn's t-SNE ends the process there."""
    assert _tsne(np.zeros((8, 3), np.float32), 0) is None
