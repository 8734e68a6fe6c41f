"""`udta evaluate` with all its options, and `udta fewshot`."""

import csv
import json

import pytest


@pytest.fixture
def runs(udta_command, toy_store, tmp_path):
    for name in ("linear", "concat_linear"):
        arguments = ("--adapter", name, "--epochs", 10, "--batch-size", 8, "--lr", 0.01, "--weight-decay", 0.1)
        assert udta_command("train", toy_store, "--out", tmp_path / name, *arguments)[0] == 0
    return tmp_path / "concat_linear", tmp_path / "linear"


def test_everything_at_once(udta_command, toy_store, runs, tmp_path):
    arguments = (
        "--against",
        runs[1],
        "--parity",
        6,
        "--backbone",
        "toy:net",
        "--predictions",
        tmp_path / "p.csv",
        "--confusion",
    )
    options = (*arguments, tmp_path / "c.csv", "--out", tmp_path / "m.json")
    status, out, err = udta_command("evaluate", runs[0], toy_store, *options)
    assert status == 0, err
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert f"top1            {metrics['top1']:.4f}\n" in out
    assert f"top1_low        {metrics['top1_low']:.4f}\n" in out
    assert f"against {runs[1]}:" in out
    assert f"McNemar p = {metrics['against']['views']['p']:.2g}" in out
    assert "same top-1 on 100.0% of 6 images" in out
    assert "matrix" not in out
    with (tmp_path / "p.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == metrics["n"]
    status, out, _ = udta_command("evaluate", runs[0], toy_store, *options, "--json")
    assert json.loads(out) == metrics


def test_bad_usage_is_status_2(udta_command, toy_store, runs, tmp_path):
    status, _, err = udta_command("evaluate", runs[0], toy_store, "--predictions", "p.xls", "--confusion", "c.txt")
    assert status == 2
    assert "predictions is 'p.xls'" in err
    assert "confusion is 'c.txt'" in err
    status, _, err = udta_command("fewshot", toy_store, "--out", tmp_path / "few", "--shots", "1,some")
    assert (status, "'some' is neither a number nor 'all'" in err) == (2, True)


def test_a_line_for_each_number_of_shots(udta_command, toy_store, tmp_path):
    arguments = ("--adapter", "linear", "--recipe", "epochs=2", "--shots", "1,all", "--seeds", 2)
    status, out, err = udta_command("fewshot", toy_store, *arguments, "--out", tmp_path / "few")
    assert status == 0, err
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["1", "3"], ["all", "18"]]
    assert "4/4 runs" in err
    assert (tmp_path / "few" / "few_shot.csv").exists()
