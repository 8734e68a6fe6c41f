"""`udta sweep`: the table, JSON, and messages instead of tracebacks."""

import json

import pytest

from udta.cli import main


@pytest.fixture
def command(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["sweep", *map(str, arguments)])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_prints_a_table_or_json_and_continues(command, toy_store, tmp_path):
    file, out = tmp_path / "sweep.yaml", tmp_path / "out"
    file.write_text("adapters:\n  lin: {adapter: linear, recipe: {epochs: 4}, grid: {recipe: {lr: [0.1, 0.01]}}}\n")
    status, text, err = command(toy_store, "--adapters", file, "--out", out, "--halving")
    assert status == 0, err
    assert "lin-lr=0.01" in text
    assert "stopped" in text
    assert "4/4 epochs" in err
    status, text, _ = command(toy_store, "--adapters", file, "--out", out, "--halving", "--json")
    document = json.loads(text)
    assert [row["name"] for row in document["adapters"]] == ["lin-lr=0.1", "lin-lr=0.01"]
    assert document["best"]["store"] in ("lin-lr=0.1", "lin-lr=0.01")


def test_mistakes_are_messages(command, toy_store, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("adapters:\n  a: {adapter: liner}\n  b: {recipe: {epoch: 3}}\n")
    status, _, err = command(toy_store, "--adapters", file, "--out", tmp_path / "out")
    assert status == 2
    assert "'linear'" in err
    assert "'epochs'" in err
    assert command(toy_store, "--adapters", tmp_path / "absent.yaml", "--out", tmp_path / "out")[0] == 2
