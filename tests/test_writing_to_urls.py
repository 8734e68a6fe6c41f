"""A URL that cannot be written to is refused before any work: `s3://bucket/x` would become a local folder called `s3:`."""

from pathlib import Path

import click
import pytest

import udta
from udta._files.paths import local_path
from udta.cli._common import OUT
from udta.cli.main import command, main
from udta.config import load_params
from udta.errors import ConfigError

URL = "s3://bucket/x.csv"
WRITTEN = {"out", "predictions", "confusion"}


@pytest.mark.parametrize("path", [URL, Path(URL), "file:///tmp/x", "memory://x", "gs:/bucket"])
def test_urls_are_refused(path):
    with pytest.raises(ConfigError, match="only local paths can be written"):
        local_path("out", path)


@pytest.mark.parametrize("path", ["x", "/tmp/x", "../x:y", "a:b/c", "-/x", "photos: 1/x"])
def test_paths_are_not(path):
    assert local_path("out", path) == Path(path)


def written():
    return [
        (verb, option)
        for verb, one in command.commands.items()
        for option in one.params
        if isinstance(option, click.Option) and option.name in WRITTEN
    ]


def test_every_option_that_says_where_to_write_refuses_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert {verb for verb, _ in written()} >= {
        "extract",
        "plan",
        "train",
        "sweep",
        "evaluate",
        "fewshot",
        "predict",
        "export",
    }
    assert all(option.type is OUT for _, option in written())
    arguments = ["photos", "--backbone", "toy:net", "--taps", "stage2", "--out", URL]
    with pytest.raises(SystemExit) as caught:
        main(["extract", *arguments])
    assert caught.value.code == 2
    assert f"--out is {URL!r}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def calls():
    """Of inputs that do not exist: the URL is what is noticed first."""
    network = {"backbone": "toy:net", "taps": "stage2"}
    yield lambda out: udta.extract("absent", out=out, **network)
    yield lambda out: udta.extract_many("absent", [{"out": out, **network}])
    yield lambda out: udta.plan("absent", out=out, **network)
    yield lambda out: udta.train("absent", out=out)
    yield lambda out: udta.sweep("absent", adapters="absent.yaml", out=out)
    yield lambda out: udta.fewshot("absent", out=out)
    yield lambda out: udta.predict("absent", adapters=["absent"], out=out)
    yield lambda out: udta.export("absent", to="npy", out=out)
    yield lambda out: udta.evaluate("absent", "absent", out=out)
    yield lambda out: udta.evaluate("absent", "absent", predictions=out)
    yield lambda out: udta.evaluate("absent", "absent", confusion=out)
    yield lambda out: udta.verify(out, repair=True)


def test_every_call_that_writes_refuses_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in calls():
        for out in (URL, Path(URL)):
            with pytest.raises(ConfigError, match="a URL"):
                call(out)
    assert not list(tmp_path.iterdir())


def test_params_yaml_is_told_so_too(tmp_path):
    text = Path("params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("stores: stores ", "stores: s3://bucket/stores "))
    with pytest.raises(ConfigError, match=r"paths\.stores.*a URL"):
        load_params(tmp_path / "params.yaml")
