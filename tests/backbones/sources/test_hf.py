"""transformers' models by `hf:`: from a folder and from a hub, whole or not at all, and what is no model of images."""

import json
import sys

import pytest
import tiny_hf
import torch
from safetensors.torch import load_file, save_file

from udta.backbones import build_backbone, rebuild_backbone
from udta.errors import BackboneError, ConfigError, WeightsError

pytest.importorskip("transformers", reason="needs the extra transformers")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of a family, saved once."""
    root, made = tmp_path_factory.mktemp("hf"), {}

    def of(family):
        if family not in made:
            made[family] = root / family
            tiny_hf.save(family, made[family])
        return made[family]

    return of


@pytest.fixture
def folder(saved, tmp_path):
    """A ViT's folder that a test may change."""
    for file in saved("vit").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def configured(folder, **changes):
    path = folder / "config.json"
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return f"hf:{folder}"


def test_a_folder_is_the_model_that_was_saved_in_it(saved):
    backbone = build_backbone(f"hf:{saved('vit')}")
    assert backbone.factory == "hf:ViTModel"
    assert type(backbone.module).__name__ == "ViTModel"
    assert backbone.source == {"backbone": f"hf:{saved('vit')}", "weights": "pretrained"}
    assert "layers.3" in dict(backbone.module.named_modules())  # as transformers calls it, without a prefix
    state = load_file(saved("vit") / "model.safetensors")
    assert torch.equal(backbone.module.embeddings.cls_token, state["embeddings.cls_token"])
    backbone.check_frozen()


def test_a_hub_gives_the_same_backbone_and_says_which_commit(saved, hub):
    commit = hub.add("someone/vit", saved("vit"))
    of_folder, of_hub = build_backbone(f"hf:{saved('vit')}"), build_backbone("hf:someone/vit")
    assert of_hub.fingerprint_fields() == of_folder.fingerprint_fields()
    assert of_hub.input == of_folder.input
    expected = {
        "backbone": "hf:someone/vit",
        "weights": f"pretrained@{commit}",
        "id": "someone/vit",
        "revision": commit,
    }
    assert of_hub.source == expected


def test_a_store_finds_just_these_weights_again_and_asks_nobody(saved, folder, hub):
    first = hub.add("someone/vit", saved("vit"))
    remembered = build_backbone("hf:someone/vit").source
    tiny_hf.save("vit", folder, seed=1)
    hub.add("someone/vit", folder)
    before = len(hub.requests)
    again = rebuild_backbone(remembered, "adapter x")
    assert len(hub.requests) == before
    assert again.source["revision"] == first
    assert build_backbone("hf:someone/vit").source["revision"] != first
    assert build_backbone(f"hf:someone/vit@{first}").weights == again.weights
    assert build_backbone("hf:someone/vit", f"pretrained@{first}").weights == again.weights


def test_nothing_is_downloaded_because_a_file_says_so(saved, hub):
    hub.add("someone/vit", saved("vit"))
    with pytest.raises(ConfigError, match="not on this machine"):
        rebuild_backbone({"backbone": "hf:someone/vit", "weights": f"pretrained@{'0' * 40}"}, "adapter x")
    assert hub.requests == []
    with pytest.raises(ConfigError, match="give it as --backbone"):
        rebuild_backbone({"backbone": "hf:./vit", "weights": "pretrained"}, "adapter x")


def test_a_gated_repository_says_what_to_do(saved, hub):
    hub.add("someone/vit", saved("vit"))
    hub.gate("someone/vit")
    with pytest.raises(WeightsError, match="accepted its terms"):
        build_backbone("hf:someone/vit")


def test_weights_in_several_files_of_either_kind(saved, folder, hub):
    expected = build_backbone(f"hf:{saved('vit')}").weights
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    parts = {"a": names[::2], "b": names[1::2]}
    for suffix, save in (("safetensors", save_file), ("bin", torch.save)):
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        for part, chosen in parts.items():
            save({name: state[name] for name in chosen}, folder / f"{stem}-{part}.{suffix}")
        index = {"weight_map": {name: f"{stem}-{part}.{suffix}" for part, chosen in parts.items() for name in chosen}}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
        assert build_backbone(f"hf:{folder}").weights == expected
        hub.add("someone/sharded", folder)
        assert build_backbone("hf:someone/sharded").weights == expected
        for file in folder.glob(f"*.{suffix}*"):
            file.unlink()


def test_weights_from_a_file_and_none_at_all(saved, folder):
    tiny_hf.save("vit", folder, seed=1)
    other = build_backbone(f"hf:{folder}")
    assert build_backbone(f"hf:{saved('vit')}", str(folder / "model.safetensors")).weights == other.weights
    drawn = [build_backbone(f"hf:{folder}", "none", seed=seed).weights for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_float32(folder, dtype):
    state = {name: tensor.to(dtype) for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors")
    module = build_backbone(configured(folder, dtype=str(dtype).removeprefix("torch."))).module
    assert {tensor.dtype for tensor in module.state_dict().values()} == {torch.float32}
    assert torch.equal(module.embeddings.cls_token, state["embeddings.cls_token"].float())


def test_a_classifier_has_no_pooler_that_would_be_random(saved):
    module = build_backbone(f"hf:{saved('vit_classifier')}").module
    assert module.pooler is None
    assert list(dict(module.named_children()))[-1] == "head"


@pytest.mark.parametrize(("family", "tokens"), [("dinov2_registers", 5), ("siglip", 0), ("deit", 2), ("clip", 1)])
def test_it_says_how_many_tokens_come_before_its_patches(saved, family, tokens):
    module = build_backbone(f"hf:{saved(family)}").module
    assert module.num_prefix_tokens == tokens
    assert (module.cls_token is None) == (tokens == 0)


def test_of_two_towers_the_one_for_images_alone_is_there(saved):
    backbone = build_backbone(f"hf:{saved('clip')}")
    assert backbone.factory == "hf:CLIPVisionModel"
    assert not any("text" in name for name in backbone.module.state_dict())


def test_a_weight_that_is_missing_or_left_over_is_never_drawn_or_dropped(folder):
    state = load_file(folder / "model.safetensors")
    # The file has the names of an earlier release, and the message those that taps have.
    kept = {key: tensor for key, tensor in state.items() if "layer.2." not in key}
    assert len(kept) == len(state) - 16
    save_file(kept, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"ViTModel of its config.json:\n  16 key\(s\) missing: layers.2"):
        build_backbone(f"hf:{folder}")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"16 key\(s\) left over: layers.3"):
        build_backbone(configured(folder, num_hidden_layers=3))
    with pytest.raises(
        WeightsError, match=r"of another shape: embeddings.position_embeddings \[1, 17, 32\] instead of"
    ):
        build_backbone(configured(folder, num_hidden_layers=4, image_size=64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoModel": "mine.Model"}}, "brings code of its own .auto_map., which udta never runs"),
        ({"model_type": "vitt"}, "model_type 'vitt', which transformers [0-9.]+ has no class for; did you mean 'vit'"),
        ({"model_type": None, "architecture": "vit_tiny"}, "is a model of timm: write hf-hub:"),
        ({"model_type": "bert"}, "is no vision model: BertConfig does not take images"),
        ({"model_type": "siglip2"}, "Siglip2VisionModel wants pixel_attention_mask, spatial_shapes beside the images"),
        ({"model_type": "timm_wrapper", "architecture": "vit_tiny"}, "is a model of timm: write hf-hub:"),
        ({"quantization_config": {"quant_method": "awq"}}, "is quantised"),
        ({"num_hidden_layers": "many"}, "has a config.json that transformers cannot read"),
    ],
)
def test_what_is_no_model_of_images(folder, changes, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(configured(folder, **changes))


def test_mistakes_in_names_say_what_to_give(folder, hub):
    with pytest.raises(ConfigError, match="is not there; give one that `save_pretrained` wrote"):
        build_backbone("hf:./nowhere")
    (folder / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no config\.json; give one that"):
        build_backbone(f"hf:{folder / 'empty'}")
    with pytest.raises(ConfigError, match="there is no repository someone/nothing"):
        build_backbone("hf:someone/nothing")
    with pytest.raises(WeightsError, match="models of hf: take a file, none, pretrained"):
        build_backbone(f"hf:{folder}", "pretrained@main")
    with pytest.raises(ConfigError, match="unexpected keyword argument 'image_size'"):
        build_backbone(f"hf:{folder}?image_size=64")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no model\.safetensors or "):
        build_backbone(f"hf:{folder}")


def test_a_size_is_that_of_the_images(saved):
    backbone = build_backbone(f"hf:{saved('dinov2')}?img_size=42")
    assert backbone.input.evaluate == "resize(54,filter=bicubic)|centre_crop(42)"
    assert backbone.factory == "hf:Dinov2Model?img_size=42"
    with pytest.raises(ConfigError, match=r"img_size='large': must be a number of pixels, or .height,width."):
        build_backbone(f"hf:{saved('dinov2')}?img_size=large")
    with pytest.raises(ConfigError, match="give --transform"):
        build_backbone(f"hf:{saved('dinov2')}?img_size=[28,42]")


def test_an_index_names_files_beside_it(folder):
    (folder / "model.safetensors").unlink()
    for document in ({"weight_map": {"a": "../other.safetensors"}}, {"weight_map": ["model"]}, {}):
        (folder / "model.safetensors.index.json").write_text(json.dumps(document))
        with pytest.raises(WeightsError, match="does not name the files beside it"):
            build_backbone(f"hf:{folder}")


def test_a_size_that_a_model_cannot_take_is_an_error(saved):
    from udta.backbones import list_taps

    with pytest.raises(BackboneError, match="fails on an image of 4 x 4 pixels"):
        list_taps(build_backbone(f"hf:{saved('vit')}", evaluate="resize(4,4)"))


def test_without_transformers_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("hf:facebook/dinov2-small", "hf:./folder"):
        with pytest.raises(ConfigError, match=r"pip install 'udta\[transformers\]'"):
            build_backbone(name)
