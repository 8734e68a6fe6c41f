"""A table with nothing but paths in it stands wherever images are named: nobody has to make up labels."""

import csv
import json

import udta


def test_it_is_planned_extracted_and_predicted(udta_command, photos, toy_store, tmp_path):
    paths = sorted(photos.rglob("*.png"))[:5]
    table = tmp_path / "list.csv"
    table.write_text("\n".join(("path", *map(str, paths))) + "\n")
    how = ("--backbone", "toy:net", "--taps", "stage1=grid(4),stage2=avg", "--out", tmp_path / "s")
    status, out, err = udta_command("plan", table, *how, "--json")
    assert (status, json.loads(out)["rows"], json.loads(out)["state"]) == (0, 5, "new"), err
    assert udta_command("extract", table, *how)[0] == 0
    store = udta.open_store(tmp_path / "s")
    assert (store.classes, set(store.labels.tolist()), set(store.splits.tolist())) == ((), {-1}, {"unlabelled"})
    # Training says what is missing, and takes the labels that come later.
    status, _, err = udta_command("train", tmp_path / "s", "--out", tmp_path / "none")
    assert (status, "has no labels: give a file of them (--labels)" in err) == (2, True), err
    udta.train(toy_store, out=tmp_path / "run", adapter="ridge")
    found = ("--adapter", tmp_path / "run", "--backbone", "toy:net", "--out", tmp_path / "p.csv")
    assert udta_command("predict", table, *found)[0] == 0
    with (tmp_path / "p.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
