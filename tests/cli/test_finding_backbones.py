"""`udta backbones`: what is installed, what a name would load and whether it is here, and never a request."""

import json
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

from udta.backbones import _finding, build_backbone, find_backbones
from udta.backbones.sources.source import Offer
from udta.cli import backbones as verb
from udta.cli.main import command


@pytest.fixture
def find(udta_command):
    def run(*arguments):
        status, out, err = udta_command("backbones", *arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    return run


def test_without_a_word_the_sources_and_their_libraries(udta_command, find, monkeypatch):
    sources = {each["source"]: each for each in find()["sources"]}
    assert sources["torchvision"]["version"] == version("torchvision")
    assert (sources["factory"]["spelling"], sources["factory"]["library"]) == ("package.module:factory", "")
    assert all(each["spelling"] for each in sources.values())

    def nothing_but_torchvision(library):
        if library != "torchvision":
            raise PackageNotFoundError(library)
        return version(library)

    monkeypatch.setattr(_finding, "version", nothing_but_torchvision)
    monkeypatch.setitem(sys.modules, "open_clip", None)  # importing it is an ImportError now
    _, out, _ = udta_command("backbones")
    assert "not installed: pip install 'udta[open_clip]'" in out
    assert f"torchvision {version('torchvision')}" in out


def test_enums_of_torchvision(find):
    found = [each for each in find("resnet50")["matches"] if each["backbone"] == "resnet50"]
    assert [each["weights"] for each in found] == ["IMAGENET1K_V1", "pretrained"]
    assert all(each["origin"].startswith("https://download.pytorch.org/models/resnet50-") for each in found)
    assert [each["size"] for each in found] == [[224, 224]] * 2


def test_tags_of_timm_and_open_clip(find, hub):
    pytest.importorskip("timm", reason="needs the extra timm")
    found = {each["backbone"]: each for each in find("DINOv2")["matches"]}
    dinov2 = found["vit_small_patch14_dinov2.lvd142m"]
    assert (dinov2["origin"], dinov2["size"]) == ("timm/vit_small_patch14_dinov2.lvd142m", [518, 518])
    assert not dinov2["here"]
    pytest.importorskip("open_clip", reason="needs the extra open_clip")
    [siglip] = find("open_clip:ViT-B-16-SigLIP/")["matches"]
    assert siglip["backbone"] == "open_clip:ViT-B-16-SigLIP/webli"
    assert (siglip["weights"], siglip["origin"]) == ("pretrained", "timm/ViT-B-16-SigLIP")
    assert hub.requests == []


def test_what_is_in_the_cache_is_here(find, hub, tmp_path):
    pytest.importorskip("timm", reason="needs the extra timm")
    from safetensors.torch import save_file

    name = "test_resnet.r160_in1k"
    save_file(build_backbone(name, "none").module.state_dict(), tmp_path / "w.safetensors")
    hub.add(f"timm/{name}", {"model.safetensors": (tmp_path / "w.safetensors").read_bytes()})
    place = f"hf-hub:timm/{name}"
    assert [each["here"] for word in (name, place) for each in find(word)["matches"]] == [False, False]
    build_backbone(name, "pretrained")
    before = len(hub.requests)
    assert [each["here"] for each in find(name)["matches"]] == [True]
    assert len(hub.requests) == before


def test_a_place_on_a_hub_is_itself_what_is_found(find, udta_command, hub):
    [offer] = find("hf:Facebook/dinov2-small@v1")["matches"]
    assert (offer["backbone"], offer["weights"]) == ("hf:Facebook/dinov2-small@v1", "pretrained")
    assert (offer["origin"], offer["size"], offer["here"]) == ("Facebook/dinov2-small@v1", None, False)
    assert "no    Facebook/dinov2-small@v1" in udta_command("backbones", "hf:Facebook/dinov2-small@v1")[1]
    assert hub.requests == []


def test_many_matches_are_cut_with_a_count(udta_command, find):
    everything = len(find("net")["matches"])
    assert everything > verb._SHOWN
    _, cut, _ = udta_command("backbones", "net")
    assert f"and {everything - verb._SHOWN} more: a longer WORD, or --all" in cut
    assert len(cut.splitlines()) == verb._SHOWN + 3
    assert len(udta_command("backbones", "net", "--all")[1].splitlines()) == everything + 1


def test_nothing_found_names_the_nearest_part_of_a_name(udta_command):
    status, _, err = udta_command("backbones", "efficentnet")
    assert (status, "did you mean 'efficientnet" in err) == (2, True)


def test_a_narrow_terminal_has_two_lines_for_each(monkeypatch):
    offers = [
        Offer(f"vit_{number}.tag", "pretrained", f"somebody/{'long' * 12}{number}", (24, 32), False)
        for number in (1, 2)
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for columns, lines in ((80, 6), (200, 3)):
        monkeypatch.setenv("COLUMNS", str(columns))  # which is asked before the terminal
        text = verb._matches(offers, 2, [])
        assert len(text.splitlines()) == lines
        assert max(map(len, text.splitlines())) <= columns
        assert "24x32" in text


def test_the_library_finds_the_same(hub):
    assert find_backbones("mobilenet_v2")[0].backbone == "mobilenet_v2"
    assert "backbones" in command.commands
