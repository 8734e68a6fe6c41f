"""The report of runs, curves and stores as they are made, and of what is left of them when half is gone."""

import json
import shutil

import numpy as np
import pytest

import udta
from udta.cli import main
from udta.errors import ConfigError


@pytest.fixture(scope="module")
def work(tmp_path_factory, toy_store, photos):
    """Runs of three adapters and three tasks over one store, and a few-shot curve."""
    folder = tmp_path_factory.mktemp("work")
    ids = udta.open_store(toy_store).ids.tolist()
    tables = {
        "several": ("odd,third", lambda number: f"{number % 2},{int(number % 3 == 0)}"),
        "size": ("size", lambda number: f"{number}.5"),
        "coin": (
            "label",
            lambda number: "heads" if number * 7919 % 11 < 6 else "tails",
        ),  # nothing to be learned: mistakes
    }
    for name, (columns, cells) in tables.items():
        lines = [f"{image},{cells(number)}" for number, image in enumerate(ids)]
        (folder / f"{name}.csv").write_text("\n".join([f"path,{columns}", *lines, ""]))
    quick = {"epochs": 2, "batch_size": 4}
    udta.train(toy_store, adapter="udta", recipe=quick, out=folder / "runs" / "a")
    udta.train(toy_store, adapter="linear", recipe=quick, out=folder / "runs" / "b")
    for name, task in (("several", "multilabel"), ("size", "regression"), ("coin", "multiclass")):
        udta.train(toy_store, adapter="ridge", labels=folder / f"{name}.csv", task=task, out=folder / "runs" / name)
    udta.fewshot(toy_store, adapter="ridge", shots=[1, 2], seeds=2, out=folder / "few")
    return folder


@pytest.fixture(scope="module")
def page(work):
    """The report of all of it."""
    files = [work / name for name in ("runs", "few", "several.csv", "size.csv", "coin.csv")]
    report = udta.report(files, out=work / "report.html", title="All of it", inspect=False)
    return report, (work / "report.html").read_text()


def test_every_task_and_section_is_there(page, work):
    report, text = page
    for words in (
        "top-1 %",
        "mAP %",
        "R2",
        "Learning curves",
        "Few images",
        "Calibration",
        "Taps",
        "Costs",
        "Provenance",
    ):
        assert words in text, words
    assert report.missing == ()
    assert {run["name"] for run in report.runs} == {"udta", "linear", "ridge"}
    names = {file.name for file in (work / "report_files").iterdir()}
    assert {name.rpartition("/")[2] for name in report.files} == names | {"report.html"}
    assert text.count("<svg") == len(names)
    assert 'src="data:image/jpeg' in text
    assert len(text) < 2_000_000


def test_figures_are_those_of_the_runs(page, work):
    report, _ = page
    by_path = {run["run"]: run for run in report.runs}
    for name, figure in (("a", "top1"), ("several", "map"), ("size", "r2")):
        metrics = json.loads((work / "runs" / name / "metrics.json").read_text())
        assert by_path[str(work / "runs" / name)]["value"] == metrics[figure]


@pytest.mark.slow
def test_the_same_runs_make_the_same_page(page, work, tmp_path):
    files = [work / name for name in ("runs", "few", "several.csv", "size.csv", "coin.csv")]
    udta.report(files, out=tmp_path / "again.html", title="All of it", inspect=False)
    assert (tmp_path / "again.html").read_text() == page[1]


def test_two_runs_are_compared_image_by_image(page, work, toy_store):
    right = []
    for run in (work / "runs" / "a", work / "runs" / "b"):
        udta.evaluate(run, toy_store, predictions=work / "said.csv")
        lines = [line.split(",") for line in (work / "said.csv").read_text().splitlines()]
        label, said = lines[0].index("label"), lines[0].index("predicted")
        right.append(np.array([line[label] == line[said] for line in lines[1:]]))
    alone = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    either = [f"{alone[0]} are right with udta alone and {alone[1]} with linear alone"]
    either.append(f"{alone[1]} are right with linear alone and {alone[0]} with udta alone")
    assert any(words in page[1] for words in either)


def test_what_is_gone_is_said_in_a_line(work, tmp_path):
    """A store that is gone, an adapter that is damaged, labels that nobody gave, a run without history."""
    shutil.copytree(work / "runs", tmp_path / "runs")
    for name in ("a", "b"):
        metrics = tmp_path / "runs" / name / "metrics.json"
        metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"store": "/nowhere"}))
    (tmp_path / "runs" / "a" / "history.csv").unlink()
    (tmp_path / "runs" / "b" / "adapter.safetensors").write_bytes(b"damaged")
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "metrics.json").write_text("[]")
    report = udta.report(tmp_path / "runs", out=tmp_path / "report.html", inspect=False)
    said = " ".join(report.missing)
    for words in ("runs/a: its details", "runs/b", "runs/c: left out", "give that file among the folders"):
        assert words in said, words
    assert json.loads((work / "runs" / "a" / "metrics.json").read_text())["top1"] == max(
        run["value"] for run in report.runs if run["name"] == "udta"
    )


def test_a_run_without_figures_is_measured(work, toy_store, tmp_path):
    shutil.copytree(work / "runs" / "b", tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    bare = {name: value for name, value in metrics.items() if not name.startswith(("top", "mean", "n", "ece"))}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(bare))
    report = udta.report([tmp_path / "run", toy_store], out=tmp_path / "report.html", inspect=False)
    assert [run["value"] for run in report.runs] == [metrics["top1"]]
    assert report.runs[0]["evaluated_here"]
    assert "measured for this report" in report.missing[0]


def test_the_command_says_what_won_and_refuses_what_it_cannot_do(work, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["report", str(work / "runs" / "b"), "--out", str(tmp_path / "page.html"), "--no-inspect", "--json"])
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out)["runs"]
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "nothing"), str(tmp_path / "none"), "--out", str(tmp_path / "page.html")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("there is no such folder") == 2


def test_only_runs_that_were_found_can_be_compared(work, tmp_path):
    with pytest.raises(ConfigError, match="is no run below"):
        udta.report(work / "runs", compare=[tmp_path, work / "runs" / "a"], out=tmp_path / "page.html")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no run, few-shot curve or store"):
        udta.report(tmp_path / "empty", out=tmp_path / "page.html")


def test_a_store_alone_is_a_report_too(toy_store, tmp_path):
    udta.report(toy_store, out=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "these are stores alone" in text
    assert 'id="data"' in text  # what an inspection finds
