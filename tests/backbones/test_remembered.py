"""A backbone's name out of a file: models of the libraries alone, and nothing imported, opened or fetched because it says so."""

import os
import sys

import pytest
import torch

from udta.backbones import build_backbone, rebuild_backbone
from udta.errors import ConfigError

LETTERS = "udta.backbones.letters:letters_net"


def rebuild(backbone, weights="none", **given):
    return rebuild_backbone({"backbone": backbone, "weights": weights}, "adapter x", **given)


@pytest.mark.parametrize(
    "name",
    [
        LETTERS,
        "resnet18?num_classes=7",
        "timm:resnet18",
        "mobilenetv3_small_050.lamb_in1k?num_classes=5",
        "torchvision.models:resnet18",
        "torchvision.models.quantization:mobilenet_v2?quantize=false",
    ],
)
def test_models_of_the_libraries_are_found_by_a_remembered_name(name):
    assert rebuild(name).fingerprint_fields() == build_backbone(name).fingerprint_fields()


@pytest.mark.parametrize(
    "name",
    [
        "os:mkdir?path={mark}",
        "subprocess:run?args=touch%20{mark}&shell=true",
        "toy:net",
        "udta.backbones.letters:Path",
        "torchvision.models:get_model_weights",
        "torchvision.models.quantization.mobilenetv2:mobilenet_v2",
        "torchvision.models.segmentation:fcn_resnet50",  # fetches weights by default
        "torch.hub:load?repo_or_dir={mark}&source=local",
        "timm:hf-hub:somebody/something",
        "timm:local-dir:{mark}",
        "local-dir:mark",
        "../mark:net",
        "",
        7,
        ["resnet18"],
    ],
)
def test_no_other_name_out_of_a_file_is_built(name, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ConfigError, match=r"^adapter x names its backbone .*--backbone"):
        rebuild(name.format(mark=mark) if isinstance(name, str) else name)
    assert not mark.exists()


@pytest.mark.parametrize(
    "query",
    [
        "weights=DEFAULT",
        "pretrained=true",
        "norm_layer=os.system",
        "num_classes=1000000",
        "num_classes=1e400",
        "num_classes=NaN",
        "stem={}",
        "pretrained_cfg=null",
    ],
)
def test_keywords_out_of_a_file_are_small_numbers(query):
    with pytest.raises(ConfigError, match="takes of a file's keywords only numbers"):
        rebuild(f"resnet18?{query}")


def test_a_module_that_lies_in_the_current_folder_is_not_imported_for_a_library(tmp_path, monkeypatch):
    package = tmp_path / "torchvision" / "models"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "quantization.py"):
        file.write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision.models.quantization", raising=False)
    rebuild("torchvision.models.quantization:mobilenet_v2?quantize=false")
    assert not (tmp_path / "mark").exists()


def test_what_the_user_names_may_be_any_factory():
    source = {"backbone": "os:getcwd", "weights": "none"}
    assert rebuild_backbone(source, "adapter x", backbone="toy:net?width=5").module.stage1[0].out_channels == 5


def test_remembered_weights_are_a_regular_file(tmp_path):
    torch.save(build_backbone(LETTERS).module.state_dict(), tmp_path / "w.pth")
    assert rebuild(LETTERS, str(tmp_path / "w.pth")).weights == build_backbone(LETTERS).weights
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", "/dev/zero", tmp_path):
        with pytest.raises(ConfigError, match="no regular file: give --weights"):
            rebuild(LETTERS, str(path))
    for path in (tmp_path / "absent", f"{tmp_path}/\0"):
        with pytest.raises(ConfigError, match="cannot be found: give --weights"):
            rebuild(LETTERS, str(path))


@pytest.mark.parametrize(
    "weights", ["IMAGENET1K_V1", "https://example.org/w.pth", "s3://bucket/w.pth", "w.pth", "pretrained"]
)
def test_nothing_is_downloaded_because_a_file_says_so(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match="nothing is downloaded because a file says so: give --weights"):
        rebuild("resnet18", weights)


def test_published_weights_that_are_here_already_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    module = build_backbone("squeezenet1_1", seed=5)
    torch.save(module.module.state_dict(), tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    assert rebuild("squeezenet1_1", "IMAGENET1K_V1").weights == module.weights


def test_everything_that_is_missing_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        rebuild_backbone({}, "store s")
    assert [problem.split(": ")[-1] for problem in caught.value.problems] == ["give --backbone", "give --weights"]
