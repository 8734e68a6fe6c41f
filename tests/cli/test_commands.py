"""The command: every verb does its work, `--json` is JSON, and bad input ends in a message, a status and nothing half-written."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from toy import ToyNet, photographs

from udta.cli.main import command

EXTRACT = ("--backbone", "toy:net", "--taps", "stage1=grid(4),stage2=avg", "--views", "2")


@pytest.fixture
def folder(tmp_path):
    return photographs(tmp_path / "photos", per_class=4)


def test_the_whole_way(udta_command, photos, tmp_path):
    store, run, table = tmp_path / "s.zarr", tmp_path / "run", tmp_path / "p.csv"
    status, out, err = udta_command("extract", photos, *EXTRACT, "--out", store)
    assert (status, "24 rows x 2 view(s)" in out) == (0, True), err
    assert "24/24 rows" in err  # plain lines when it is no terminal
    assert "every block was there already\n" in udta_command("extract", photos, *EXTRACT, "--out", store)[1]
    status, out, _ = udta_command("info", store, "--json")
    document = json.loads(out)
    assert (document["rows"], document["complete"], document["splits"]) == (24, True, {"test": 6, "train": 18})
    assert "stratified" in udta_command("info", store)[1]
    status, out, _ = udta_command(
        "train", store, "--out", run, "--epochs", 20, "--lr", 0.01, "--batch-size", 8, "--json"
    )
    assert json.loads(out)["top1"] > 0.8
    status, out, _ = udta_command("evaluate", run, store, "--out", tmp_path / "m.json", "--json")
    assert json.loads(out) == json.loads((tmp_path / "m.json").read_text())
    status, out, err = udta_command("predict", photos, "--adapter", run, "--out", table, "--backbone", "toy:net")
    assert status == 0, err
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 24
    assert np.mean([row["path"].split("/")[0] == row["label"] for row in rows]) > 0.8


def test_predictions_equal_the_evaluation_from_the_store(udta_command, toy_store, photos, tmp_path):
    import udta
    from udta.adapters import ADAPTERS, load_adapter
    from udta.scoring import view_answers

    runs = [tmp_path / name for name in ADAPTERS]
    for run in runs:
        recipe = () if ADAPTERS[run.name].closed_form else ("--epochs", 3)
        assert udta_command("train", toy_store, "--adapter", run.name, "--out", run, *recipe)[0] == 0
    arguments = [argument for run in runs for argument in ("--adapter", run)]
    assert udta_command("predict", photos, *arguments, "--out", tmp_path / "p.parquet", "--backbone", "toy:net")[0] == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist()
    store = udta.open_store(toy_store)
    for run in runs:
        adapter, header = load_adapter(run)
        expected = np.exp(view_answers(adapter, store, store.rows())[:, 0])
        found = [row for row in table if row["adapter"] == str(run)]
        assert [row["path"] for row in found] == store.ids.tolist()
        assert [row["label"] for row in found] == [header.classes[index] for index in expected.argmax(1)]
        np.testing.assert_allclose([row["probability"] for row in found], expected.max(1), atol=1e-3)


def test_taps_lists_modules(udta_command):
    status, out, _ = udta_command("taps", "toy:net")
    assert status == 0
    assert "stage1.0" in out
    # The recommended ones with their own reducer, and what that takes: the lines add up to the sum below them.
    starred = [line.split() for line in out.splitlines() if line.startswith("*")]
    assert [(cells[1], cells[-3]) for cells in starred] == [
        ("stage1", "grid(14)"),
        ("stage2", "none"),
        ("pooled", "none"),
    ]
    assert f"{sum(int(cells[-1].replace(',', '')) for cells in starred):,} bytes for each view" in out
    assert "recommended: --taps 'stage1=grid(14),stage2=none,pooled'" in out
    assert json.loads(udta_command("taps", "toy:net", "--json")[1])["taps"][0]["name"] == "stage1.0"


def test_taps_keeps_to_a_budget_and_says_what_a_view_takes(udta_command):
    everything = json.loads(udta_command("taps", "toy:net", "--dtype", "uint8", "--json")[1])
    assert everything["bytes_per_view"] == sum(tap["recommended_bytes"] for tap in everything["taps"])
    options = ("--dtype", "uint8", "--budget", f"{(everything['bytes_per_view'] - 1) / 1000}kB")
    less = json.loads(udta_command("taps", "toy:net", *options, "--json")[1])
    assert less["bytes_per_view"] < everything["bytes_per_view"]
    assert f"{less['bytes_per_view']:,} bytes for each view" in udta_command("taps", "toy:net", *options)[1]
    status, _, err = udta_command("taps", "toy:net", "--budget", "much")
    assert (status, "budget is 'much': give a number of bytes" in err) == (2, True)


def test_extract_without_taps_says_which_it_takes_and_so_does_the_store(udta_command, photos, tmp_path):
    arguments = (photos, "--backbone", "toy:net", "--budget", "1kB", "--out", tmp_path / "s")
    assert "taps: recommended, stage1=grid(" in udta_command("plan", *arguments)[1]
    status, out, err = udta_command("extract", *arguments)
    assert status == 0, err
    for printed in (out, err):
        assert printed.count("taps: recommended, stage1=grid(") == 1
    assert "taps      recommended within 1000 bytes a view" in udta_command("info", tmp_path / "s")[1]
    status, _, err = udta_command("extract", *arguments, "--taps", "stage1")
    assert (status, "budget is for taps that are recommended" in err) == (2, True)


@pytest.mark.parametrize("verb", list(command.commands))
def test_every_verb_has_help_with_an_example_and_json(udta_command, verb):
    status, out, _ = udta_command(verb, "--help")
    assert status == 0
    assert "Example:" in out
    assert f"udta {verb}" in out
    assert "--json" in out


def test_the_help_of_train_names_every_adapter(udta_command):
    from udta.adapters import ADAPTERS

    words = udta_command("train", "--help")[1].replace(",", " ").replace(";", " ").split()
    assert {*ADAPTERS, "auto"} <= set(words)


def test_training_auto_shows_every_candidate(udta_command, toy_store, tmp_path):
    options = ("--option", 'candidates=["knn", "ridge"]', "--option", "folds=2")
    status, out, err = udta_command(
        "train", toy_store, "--adapter", "auto", *options, "--out", tmp_path / "run", "--json"
    )
    assert status == 0, err
    assert "knn:" in err
    assert "ridge:" in err
    assert json.loads(out)["selection"]["picked"] in ("knn", "ridge")


def test_training_makes_up_for_rare_classes_in_one_way(udta_command, toy_store, tmp_path):
    (tmp_path / "weights.csv").write_text("class,weight\ndog,3\nbrid,2\n")
    arguments = ("train", toy_store, "--adapter", "linear", "--epochs", 1, "--out", tmp_path / "run")
    status, _, err = udta_command(*arguments, "--class-weights", tmp_path / "weights.csv", "--sampling", "balanced")
    assert status == 2
    assert "class_weights and sampling each make up" in err
    status, _, err = udta_command(*arguments, "--class-weights", tmp_path / "weights.csv")
    assert (status, "did you mean 'bird'?" in err) == (2, True), err
    status, out, _ = udta_command(*arguments, "--logit-adjustment", 1, "--json")
    assert (status, json.loads(out)["prior"]) == (0, "uniform")


def test_python_m_udta_works():
    done = subprocess.run([sys.executable, "-m", "udta", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "udta" in done.stdout


# --- bad input


def refuse(udta_command, tmp_path, *arguments, status, message):
    out = tmp_path / "refused.zarr"
    found, _, err = udta_command("extract", *arguments, "--out", out)
    assert found == status, err
    for part in [message] if isinstance(message, str) else message:
        assert part in err
    assert not out.exists()
    assert not list(tmp_path.glob(".refused*"))


def test_a_missing_folder(udta_command, tmp_path):
    refuse(udta_command, tmp_path, tmp_path / "absent", *EXTRACT, status=1, message="absent")


def test_an_empty_class(udta_command, folder, tmp_path):
    (folder / "zebra").mkdir()
    refuse(udta_command, tmp_path, folder, *EXTRACT, status=1, message="zebra")


def test_an_unknown_tap_with_the_nearest_names(udta_command, folder, tmp_path):
    options = ("--backbone", "toy:net", "--taps", "stage1,stge2")
    refuse(udta_command, tmp_path, folder, *options, status=2, message=["stge2", "did you mean 'stage2'"])


def test_bad_usage_is_status_2(udta_command, folder, tmp_path):
    refuse(udta_command, tmp_path, folder, *EXTRACT, "--dtype", "int4", status=2, message="int4")
    assert udta_command("extrct")[0] == 2
    assert udta_command("extract", folder)[0] == 2


def test_weights_of_another_network(udta_command, folder, tmp_path):
    torch.save(ToyNet(width=9).state_dict(), tmp_path / "w.pth")
    refuse(
        udta_command,
        tmp_path,
        folder,
        *EXTRACT,
        "--weights",
        tmp_path / "w.pth",
        status=1,
        message="does not fit this backbone",
    )


def test_a_pickle_that_would_run_code(udta_command, folder, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trap"),)

    with (tmp_path / "w.pth").open("wb") as file:
        pickle.dump(Payload(), file)
    refuse(
        udta_command, tmp_path, folder, *EXTRACT, "--weights", tmp_path / "w.pth", status=1, message="would run code"
    )
    assert not (tmp_path / "trap").exists()


def test_nan_features(udta_command, folder, tmp_path):
    Image.new("RGB", (24, 20)).save(folder / "dog" / "001.png")
    options = ("--backbone", "toy:net?nan=true", "--taps", "stage1")
    refuse(udta_command, tmp_path, folder, *options, status=1, message=["NaN", "dog/001.png"])


def truncated(path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize(
    "spoil", [truncated, lambda path: path.write_text("no image"), lambda path: path.write_bytes(b"")]
)
def test_an_unusable_image_under_both_policies(udta_command, folder, tmp_path, spoil):
    spoil(folder / "cat" / "001.jpg")
    refuse(udta_command, tmp_path, folder, *EXTRACT, status=1, message="cat/001.jpg")
    status, out, _ = udta_command("extract", folder, *EXTRACT, "--on-error", "skip", "--out", tmp_path / "s.zarr")
    assert status == 0
    assert "skipped 1 image(s):\n  cat/001.jpg" in out
    assert list(json.loads(udta_command("info", tmp_path / "s.zarr", "--json")[1])["skipped"]) == ["cat/001.jpg"]
    assert udta_command("train", tmp_path / "s.zarr", "--out", tmp_path / "run", "--epochs", 1)[0] == 0


def test_odd_images_are_taken_as_they_are_meant(udta_command, folder, tmp_path):
    """1 x 1, CMYK, 16 bits, an animation: the stated policy is to use them."""
    Image.new("RGB", (1, 1), "red").save(folder / "cat" / "tiny.png")
    Image.new("CMYK", (30, 30), (0, 255, 255, 0)).save(folder / "cat" / "cmyk.jpg")
    Image.fromarray(np.full((30, 30), 40_000, np.uint16)).save(folder / "cat" / "deep.png")
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("green", "blue")]
    frames[0].save(folder / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    status, _, err = udta_command("extract", folder, *EXTRACT, "--out", tmp_path / "s.zarr")
    assert status == 0, err


def test_an_output_that_is_not_ours_is_left_alone(udta_command, folder, tmp_path):
    out = tmp_path / "results"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    status, _, err = udta_command("extract", folder, *EXTRACT, "--out", out)
    assert (status, "not a udta store" in err) == (1, True)
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


def test_a_read_only_output(udta_command, folder, tmp_path):
    place = tmp_path / "read-only"
    place.mkdir()
    place.chmod(0o555)
    if os.geteuid() == 0:  # root may write anywhere: /proc is read-only even for it
        place = "/proc"
    status, _, err = udta_command("extract", folder, *EXTRACT, "--out", f"{place}/s.zarr")
    assert (status, "cannot be written" in err) == (1, True)


def test_a_stale_store_is_refused_with_the_difference(udta_command, folder, tmp_path):
    udta_command("extract", folder, *EXTRACT, "--out", tmp_path / "s.zarr")
    status, _, err = udta_command("extract", folder, *EXTRACT, "--seed", 1, "--out", tmp_path / "s.zarr")
    assert (status, "views/seed: stored 0, asked 1" in err) == (1, True)


def test_predicting_beside_another_backbone_is_refused(udta_command, toy_store, photos, tmp_path):
    udta_command("train", toy_store, "--out", tmp_path / "run", "--epochs", 1)
    options = ("--adapter", tmp_path / "run", "--out", tmp_path / "p.csv")
    status, _, err = udta_command("predict", photos, *options, "--backbone", "toy:net?width=8&nan=false")
    assert status == 1
    assert "backbone/factory" in err
    assert not (tmp_path / "p.csv").exists()


def test_evaluating_an_unknown_class_or_split(udta_command, toy_store, tmp_path):
    udta_command("train", toy_store, "--out", tmp_path / "run", "--epochs", 1)
    assert udta_command("evaluate", tmp_path / "run", toy_store, "--split", "tset")[0] == 2
    other = photographs(tmp_path / "other", classes=("bird", "wolf"))
    udta_command("extract", other, *EXTRACT, "--out", tmp_path / "other.zarr")
    status, _, err = udta_command("evaluate", tmp_path / "run", tmp_path / "other.zarr")
    assert (status, "'wolf'" in err) == (1, True)


def test_a_folder_that_disappears_is_named(udta_command, toy_store, folder, tmp_path):
    udta_command("train", toy_store, "--out", tmp_path / "run", "--epochs", 1)
    shutil.rmtree(folder)
    status, _, err = udta_command("predict", folder, "--adapter", tmp_path / "run", "--out", tmp_path / "p.csv")
    assert (status, str(folder) in err) == (1, True)
