"""Weights of timm's models by name: from a hub, a folder, an address; which ones they were, and the same from a store again."""

import json
import re
from contextlib import contextmanager

import pytest
import torch
from timm_hub import saved

from udta.backbones import build_backbone, rebuild_backbone
from udta.errors import ConfigError, WeightsError

pytest.importorskip("timm", reason="needs the extra timm")
TAG, ID = "test_vit.r160_in1k", "timm/test_vit.r160_in1k"


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("vit"), "test_vit", num_classes=10)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("published"), "test_vit")


def same(module, model):
    return all(torch.equal(values, model.state_dict()[name]) for name, values in module.state_dict().items())


@pytest.mark.parametrize("name", [TAG, "test_vit", f"timm:{TAG}"])
def test_pretrained_is_what_timm_publishes_under_the_tag(hub, published, name):
    commit = hub.add(ID, published[1])
    backbone = build_backbone(name, "pretrained")
    assert same(backbone.module, published[0])
    assert backbone.source == {"backbone": name, "weights": f"pretrained@{commit}", "id": ID, "revision": commit}
    assert (
        backbone.fingerprint_fields()
        == build_backbone(name, str(published[1] / "model.safetensors")).fingerprint_fields()
    )


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub, published, tmp_path):
    other, folder = saved(tmp_path / "other", "test_vit", seed=1, safe=False)
    first, second = hub.add(ID, published[1], revision="v1"), hub.add(ID, folder)
    assert build_backbone(TAG, "pretrained@v1").source["revision"] == first
    assert same(build_backbone(TAG, f"pretrained@{first}").module, published[0])
    backbone = build_backbone(TAG, "pretrained")
    assert same(backbone.module, other)  # from pytorch_model.bin, where there are no safetensors
    assert backbone.source["weights"] == f"pretrained@{second}"


def test_a_repository_says_what_is_built_and_a_folder_the_same(hub, vit):
    hub.add("someone/birds", vit[1])
    found, folder = build_backbone("hf-hub:someone/birds"), build_backbone(f"local-dir:{vit[1]}")
    assert same(found.module, vit[0])
    assert found.fingerprint_fields() == folder.fingerprint_fields()
    assert found.factory.startswith("timm:test_vit?")
    assert "someone" not in found.factory
    assert str(vit[1]) not in folder.factory
    assert folder.source == {"backbone": f"local-dir:{vit[1]}", "weights": str(vit[1] / "model.safetensors")}
    assert build_backbone("hf-hub:someone/birds", "none").weights != found.weights
    assert build_backbone("hf-hub:someone/birds", str(vit[1] / "model.safetensors")).weights == found.weights


def test_size_crop_filter_mean_and_deviation_are_those_of_the_configuration(tmp_path):
    config = {"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3], "crop_pct": 0.8, "interpolation": "bilinear"}
    saved(tmp_path / "a", "test_resnet", config={"pretrained_cfg": {**config, "input_size": [3, 96, 96]}})
    spec = build_backbone(f"local-dir:{tmp_path / 'a'}").input
    assert (spec.evaluate, spec.mean, spec.std) == ("resize(120)|centre_crop(96)", (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))


def test_a_relative_folder_is_found_from_another_one(vit, tmp_path, monkeypatch):
    monkeypatch.chdir(vit[1].parent)
    backbone = build_backbone(f"local-dir:{vit[1].name}?num_classes=0")
    monkeypatch.chdir(tmp_path)
    assert backbone.source["backbone"] == f"local-dir:{vit[1]}?num_classes=0"
    assert rebuild_backbone(backbone.source, "store s").fingerprint_fields() == backbone.fingerprint_fields()
    with pytest.raises(ConfigError, match="give it as --backbone"):
        rebuild_backbone({**backbone.source, "backbone": f"local-dir:{vit[1].name}"}, "store s")


@pytest.mark.parametrize("name", [TAG, "hf-hub:someone/birds", "hf-hub:someone/birds@v1?num_classes=0"])
def test_a_store_finds_its_weights_in_the_cache_and_asks_nobody(hub, published, name):
    for repo in (ID, "someone/birds"):
        hub.add(repo, published[1], revision="v1")
        hub.add(repo, published[1])
    backbone = build_backbone(name, "pretrained")
    for repository in hub.repositories.values():
        repository.refs["main"] = "gone"
    hub.requests.clear()
    assert rebuild_backbone(backbone.source, "store s").fingerprint_fields() == backbone.fingerprint_fields()
    with hub.reachable(offline=True):
        assert rebuild_backbone(backbone.source, "store s").weights == backbone.weights
        assert build_backbone(name, "pretrained").weights == backbone.weights
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        (TAG, "pretrained"),
        (TAG, f"pretrained@{'a' * 40}"),
        ("hf-hub:someone/birds", "pretrained"),
        ("hf-hub:someone/birds", f"pretrained@{'a' * 40}"),
        ("hf-hub:someone/birds", "none"),
        ("hf-hub:someone/birds@v1", "none"),
        ("hf-hub:someone/birds", "{file}"),
        ("hf-hub:/", "none"),
        ("legacy_seresnet18", "pretrained"),
    ],
)
def test_nothing_is_downloaded_because_a_file_says_so(hub, vit, name, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("downloaded"))
    hub.add("someone/birds", vit[1])
    source = {"backbone": name, "weights": weights.format(file=vit[1] / "model.safetensors")}
    with pytest.raises(ConfigError, match="nothing is downloaded because a file says so: give --"):
        rebuild_backbone(source, "store s")
    assert hub.requests == []


def test_what_the_user_says_of_a_remembered_model_may_be_downloaded(hub, vit):
    commit = hub.add("someone/birds", vit[1])
    source = {"backbone": "hf-hub:someone/birds", "weights": f"pretrained@{commit}"}
    assert same(rebuild_backbone(source, "store s", weights="pretrained").module, vit[0])


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("test_vit_relpos", "pretrained", "timm publishes no weights of test_vit_relpos: give a file"),
        ("legacy_seresnet18", "pretrained@v1", "which has no revisions: give `pretrained`"),
        (TAG, "pretraind", "there is no such weights file; test_vit.r160_in1k takes a file, pretrained"),
        ("hf-hub:no/thing", None, "there is no repository no/thing"),
        ("hf-hub:someone/birds@v9", None, "someone/birds has no revision 'v9'"),
        ("hf-hub:someone/text", None, "is no configuration of a timm model .*'architecture'.*hf:ORG/NAME"),
        ("hf-hub:someone/bare", None, "someone/bare@.* has no model.safetensors or .*, but config.json"),
        ("hf-hub:someone/new", None, "is the architecture 'vit_of_tomorrow', which the installed timm does not have"),
        ("hf-hub:someone/evil", None, "has arguments that no file may give: checkpoint_path"),
        ("hf-hub:someone/birds", "pretrained@v9", "someone/birds has no revision 'v9'"),
        ("local-dir:/no/such", None, "is no folder with a config.json"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(hub, vit, name, weights, message):
    config = json.loads((vit[1] / "config.json").read_text())
    hub.add("someone/birds", vit[1])
    hub.add("someone/text", {"config.json": '{"model_type": "bert"}'})
    hub.add("someone/bare", {"config.json": json.dumps(config)})
    hub.add("someone/new", {"config.json": json.dumps({**config, "architecture": "vit_of_tomorrow"})})
    hub.add("someone/evil", {"config.json": json.dumps({**config, "model_args": {"checkpoint_path": "/etc/passwd"}})})
    with pytest.raises((ConfigError, WeightsError), match=message) as caught:
        build_backbone(name, weights)
    assert "\n" not in str(caught.value)


def test_a_folder_with_several_files_of_weights_is_a_choice_for_the_user(vit, tmp_path):
    (tmp_path / "config.json").write_bytes((vit[1] / "config.json").read_bytes())
    name = f"local-dir:{tmp_path}"
    with pytest.raises(WeightsError, match=r"has no weights at all, and no model\.safetensors"):
        build_backbone(name)
    torch.save(vit[0].state_dict(), tmp_path / "best.pth")
    assert same(build_backbone(name).module, vit[0])
    torch.save(vit[0].state_dict(), tmp_path / "last.pth")
    with pytest.raises(WeightsError, match=re.escape("has best.pth, last.pth, and no model.safetensors")):
        build_backbone(name)
    with pytest.raises(WeightsError, match="a folder has no revisions"):
        build_backbone(name, "pretrained@v1")


def test_weights_at_an_address_lie_in_torch_s_cache(hub, tmp_path, monkeypatch, capsys):
    """timm has not moved all of its weights to the hub."""
    asked = []

    def download(url, path, prefix, *, progress):
        asked.append((url, prefix, progress))
        torch.save(build_backbone("legacy_seresnet18", seed=5).module.state_dict(), path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    backbone = build_backbone("legacy_seresnet18", "pretrained")
    url = backbone.source["revision"]
    assert asked == [(url, "4bb0ce65", False)]
    assert backbone.source == {
        "backbone": "legacy_seresnet18",
        "weights": "pretrained",
        "id": "timm/legacy_seresnet18",
        "revision": url,
    }
    assert rebuild_backbone(backbone.source, "store s").weights == backbone.weights
    assert len(asked) == 1
    assert capsys.readouterr().out == ""


@contextmanager
def file_of(state, folder):
    torch.save(state, folder / "w.pth")
    yield str(folder / "w.pth")


def test_a_file_with_a_classifier_fits_a_model_without_one(vit, tmp_path):
    with file_of(vit[0].state_dict(), tmp_path) as file:
        assert same(build_backbone("test_vit?num_classes=0", file).module, vit[0])
        with pytest.raises(WeightsError, match=r"head.weight \[10, 64\] instead of \[1000, 64\]"):
            build_backbone("test_vit", file)
