"""`udta init`: a project that is whole, valid and explained, or an error and nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import udta
from udta.config import Params, load_params
from udta.errors import ConfigError, DataError, UdtaError
from udta.project import _dvc
from udta.project._naming import backbone_name, dataset_name

FILES = {"dvc.yaml", "params.yaml", ".gitignore", "README.md"}


@pytest.fixture
def here(tmp_path, photos, monkeypatch):
    """A working directory with photographs, where `dvc init` is not run: it takes a process of a second."""
    (tmp_path / "photos").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("udta.project.init.init_dvc", lambda folder, dvc: None)
    return tmp_path


def test_a_project_is_valid_and_every_value_has_a_comment(here):
    report = udta.init("mine", images="photos")
    assert {path.name for path in Path("mine").iterdir()} == set(report.files) == FILES
    params = load_params(Path("mine/params.yaml"))
    assert params.images("photos") == "../photos"
    assert params.backbones["mobilenet_v2"].views == 5
    said = str(report)
    assert "weights: none" in said
    assert "no figure means anything" in said
    # A line with a value says what it is; those of `run` are names, of which its own comment tells.
    text = Path("mine/params.yaml").read_text()
    assert [line for line in text.splitlines() if re.match(r"\s+\w+: \S", line) and " # " not in line] == []
    assert set(yaml.safe_load(text)) == set(Params.model_fields)


def test_all_that_is_in_the_way_is_named_and_nothing_is_written(here):
    Path("mine").mkdir()
    for name in ("README.md", "params.yaml"):
        Path("mine", name).write_text("ours")
    with pytest.raises(ConfigError, match=r"mine has params.yaml, README.md already, and nothing is written over"):
        udta.init("mine", images="photos")
    assert {path.name: path.read_text() for path in Path("mine").iterdir()} == {
        "README.md": "ours",
        "params.yaml": "ours",
    }


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"images": "photo"}, DataError, "there is no folder or file 'photo'"),
        (
            {"images": "photos", "backbone": "mobilenet_v3", "weights": "absent.pth"},
            ConfigError,
            r"(?s)did you mean 'mobilenet_v2'.*absent\.pth: there is no such weights file",
        ),
        ({"images": "photos", "backbone": "hf:org/name?weights=x"}, ConfigError, "weights are given by --weights"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(here, options, error, message):
    with pytest.raises(error, match=message):
        udta.init("mine", **options)
    assert not Path("mine").exists()


def test_odd_names_are_quoted_and_paths_named_from_the_project(here, photos):
    Path("my photos: #1").symlink_to(photos)
    Path("net.pth").touch()
    udta.init("a/b", images="my photos: #1", backbone="toy:net?width=4", weights="net.pth")
    params = load_params(Path("a/b/params.yaml"))
    assert params.run.datasets == ["my-photos-1"]
    assert params.datasets[params.run.datasets[0]].images == "../../my photos: #1"
    assert (params.backbones["net"].backbone, params.weights("net")) == ("toy:net?width=4", "../../net.pth")
    udta.init("c", images=photos)
    assert load_params(Path("c/params.yaml")).datasets["photos"].images == str(photos)


def test_names_of_entries(here):
    Path("pets.v2.csv").touch()
    datasets = {"photos/": "photos", ".": here.name, "pets.v2.csv": "pets-v2", "cars:data/cars": "cars", "/": "photos"}
    assert {images: dataset_name(images) for images in datasets} == datasets
    backbones = {
        "torchvision.models.quantization:mobilenet_v2?quantize=false": "mobilenet_v2",
        "hf-hub:timm/vit_small_patch14_dinov2.lvd142m": "vit_small_patch14_dinov2-lvd142m",
        "x" * 300: "x" * 100,
    }
    assert {spec: backbone_name(spec) for spec in backbones} == backbones


def test_dvc_is_asked_before_anything_is_written_and_heard_afterwards(here, monkeypatch):
    monkeypatch.setattr(_dvc, "find_spec", lambda name: None)
    monkeypatch.setattr(_dvc.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'udta\[project\]'"):
        udta.init("mine", images="photos")
    assert not Path("mine").exists()
    Path("mine").mkdir()
    with pytest.raises(UdtaError, match="`dvc init --quiet --no-scm` failed there; run it by hand:\nno room"):
        _dvc.init_dvc(Path("mine"), [sys.executable, "-c", "import sys; sys.exit('no room')"])


@pytest.mark.slow
@pytest.mark.parametrize("inside", [".", "deeper/down"])
def test_in_a_git_repository(tmp_path, photos, monkeypatch, inside):
    pytest.importorskip("dvc", reason="needs the extra `project`")
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    udta.init(inside, images=photos)
    text = Path(inside, ".dvc", "config").read_text()
    assert "analytics = false" in text
    assert "no_scm" not in text
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=inside,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "extract@mobilenet_v2-photos" in listed.stdout.split()


def test_the_command_says_what_comes_next(here, capsys):
    from udta.cli.main import command

    command.main(["init", "mine", "--images", "photos"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-2:] == ["next: cd mine", "next: dvc repro"]
    command.main(["init", "other", "--images", "photos", "--json"], standalone_mode=False)
    assert set(json.loads(capsys.readouterr().out)["files"]) == FILES
