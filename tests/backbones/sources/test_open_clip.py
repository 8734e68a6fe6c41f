"""Image towers of open_clip: features as its own code computes them, weights by tag, sizes, and what is wrong with a name."""

import math
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from udta.backbones import TapForward, build_backbone, list_taps, parse_taps, rebuild_backbone, resolve_taps
from udta.backbones.sources.open_clip import OpenClip
from udta.errors import ConfigError, WeightsError

TEXT = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
# A tower of each kind that open_clip has, as small as it gets.
TINY = {
    "tiny-vit": {"image_size": 64, "patch_size": 16, "width": 32, "head_width": 16, "layers": 3},
    "tiny-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    # As SigLIP: attention pooling in the trunk, and nothing after it.
    "tiny-siglip": {"image_size": 160, "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"},
    # As EVA: the classifier of the trunk is the projection.
    "tiny-eva": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": None},
    "tiny-convnext": {"image_size": 64, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
}
BICUBIC = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "interpolation": "bicubic", "resize_mode": "shortest"}
SQUASHED = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}


@pytest.fixture
def open_clip(monkeypatch):
    """With the tiny architectures, and tags of some of them."""
    library = pytest.importorskip("open_clip", reason="needs the extra open_clip")
    for arch, vision in TINY.items():
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT, "custom_text": "timm_model_name" in vision}
        monkeypatch.setitem(library.factory._MODEL_CONFIGS, arch, config)
    tags = {
        "tiny-vit": {
            "first_1": {**BICUBIC, "hf_hub": "tests/tiny-vit/"},
            "quick": {**BICUBIC, "hf_hub": "tests/quick/", "quick_gelu": True},
        },
        "tiny-siglip": {"webli": {**SQUASHED, "hf_hub": "tests/tiny-siglip/pytorch_model.bin"}},
    }
    for arch, known in tags.items():
        monkeypatch.setitem(library.pretrained._PRETRAINED, arch, known)
    return library


@pytest.fixture
def whole_model(open_clip, tmp_path):
    """A whole model of open_clip, image and text, and the file of its weights."""

    def make(arch, suffix=".safetensors", **options):
        torch.manual_seed(1)
        model = open_clip.create_model(arch, **options)
        for module in model.visual.modules():  # open_clip begins residual branches of a ResNet with zeros
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.2)
        path = tmp_path / f"{arch}{suffix}"
        save_file(model.state_dict(), path) if suffix == ".safetensors" else torch.save(model.state_dict(), path)
        return model.eval(), path

    return make


def images(size, n=2):
    return torch.randint(0, 256, (n, 3, *size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def normalised(backbone, pixels):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    return (pixels / 255 - mean) / std


def features(backbone, tap, pixels):
    return next(iter(every(backbone, tap, pixels).values()))


def every(backbone, taps, pixels):
    """The features of several taps, by module and reducer as they are asked for."""
    specs = resolve_taps(backbone, parse_taps(taps), "float32")
    values = TapForward(backbone, specs, "float32", torch.device("cpu"), fold=False)(pixels)
    return {f"{spec.module}={spec.reducer}": values[spec.name] for spec in specs}


def grid(tokens, side, n):
    """Tokens in rows to a map, averaged: what `grid` says, in other words."""
    maps = tokens.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    return nn.functional.adaptive_avg_pool2d(maps, n)


TRANSFORMERS = [("tiny-vit", "transformer.resblocks.1", 4), ("tiny-siglip", "trunk.blocks.1", 10)]


@pytest.mark.parametrize(("arch", "tap", "side"), TRANSFORMERS)
def test_tokens_of_a_block_are_those_of_open_clip(whole_model, arch, tap, side):
    model, path = whole_model(arch)
    backbone = build_backbone(f"open_clip:{arch}", str(path))
    pixels = images((side * 16,) * 2)
    with torch.no_grad():
        wanted = model.visual.forward_intermediates(
            normalised(backbone, pixels), indices=[1], output_fmt="NLC", output_extra_tokens=True
        )
    [before], [patches] = wanted["image_intermediates_prefix"], wanted["image_intermediates"]
    expected = {
        "none": torch.cat([before, patches], 1),
        "tokens": patches,
        "avg": patches.mean(1),
        "grid(2)": grid(patches, side, 2),
    }
    if arch == "tiny-vit":
        expected["cls"] = before[:, 0]
    found = every(backbone, ",".join(f"{tap}={reducer}" for reducer in expected), pixels)
    for reducer, values in expected.items():
        torch.testing.assert_close(found[f"{tap}={reducer}"], values, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("arch", ["tiny-resnet", "tiny-convnext"])
def test_maps_of_a_stage_are_those_of_open_clip(whole_model, arch):
    model, path = whole_model(arch)
    backbone = build_backbone(f"open_clip:{arch}", str(path))
    pixels = images((64, 64))
    with torch.no_grad():
        wanted = model.visual.forward_intermediates(normalised(backbone, pixels), indices=[3], intermediates_only=True)
    [maps] = wanted["image_intermediates"]
    tap = "layer3" if arch == "tiny-resnet" else "trunk.stages.3"
    expected = {"none": maps, "avg": maps.mean((2, 3)), "grid(2)": nn.functional.adaptive_avg_pool2d(maps, 2)}
    found = every(backbone, ",".join(f"{tap}={reducer}" for reducer in expected), pixels)
    for reducer, values in expected.items():
        torch.testing.assert_close(found[f"{tap}={reducer}"], values, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("arch", TINY)
def test_head_is_given_what_is_pooled_and_projection_makes_the_embedding_of_it(whole_model, arch):
    model, path = whole_model(arch)
    backbone = build_backbone(f"open_clip:{arch}", str(path))
    backbone.check_frozen()
    pixels = images((TINY[arch]["image_size"],) * 2)
    with torch.no_grad():
        embedding = model.encode_image(normalised(backbone, pixels))
    head, names = features(backbone, "pooled", pixels), {tap.name for tap in list_taps(backbone)}
    torch.testing.assert_close(features(backbone, "head", pixels), head, atol=0, rtol=0)
    if arch == "tiny-vit":
        with torch.no_grad():
            tokens = model.visual.ln_post(model.visual.transformer(model.visual._embeds(normalised(backbone, pixels))))
        torch.testing.assert_close(head, tokens[:, 0], atol=1e-4, rtol=1e-3)
    if arch in ("tiny-resnet", "tiny-siglip"):  # the pooling ends in the embedding itself
        assert "projection" not in names
        torch.testing.assert_close(head, embedding, atol=1e-4, rtol=1e-3)
    else:
        torch.testing.assert_close(features(backbone, "projection", pixels), embedding, atol=1e-4, rtol=1e-3)


def test_the_class_token_and_registers_are_told(whole_model):
    for arch, prefix, has_class_token in [("tiny-vit", 1, True), ("tiny-siglip", 1, False), ("tiny-eva", 1, True)]:
        module = build_backbone(f"open_clip:{arch}", "none").module
        assert (module.num_prefix_tokens, module.cls_token is not None) == (prefix, has_class_token)
    assert build_backbone("open_clip:tiny-resnet", "none").module.num_prefix_tokens is None
    with pytest.raises(ConfigError, match="no class token"):
        features(build_backbone("open_clip:tiny-siglip", "none"), "trunk.blocks.1=cls", images((160, 160)))


# --- weights


def test_a_tag_is_fetched_once_and_is_the_backbone_that_its_file_is(whole_model, hub):
    _, path = whole_model("tiny-vit")
    commit = hub.add("tests/tiny-vit", {"open_clip_model.safetensors": path.read_bytes(), "README.md": "tiny"})
    fetched = build_backbone("open_clip:tiny-vit/first_1")
    assert fetched.source["weights"] == f"pretrained@{commit}"
    assert (fetched.source["id"], fetched.source["revision"]) == ("tests/tiny-vit", commit)
    assert fetched.input.evaluate == "resize(64,filter=bicubic)|centre_crop(64)"
    assert (fetched.input.mean, fetched.input.std) == (BICUBIC["mean"], BICUBIC["std"])
    for backbone in (build_backbone("open_clip:tiny-vit", str(path)), build_backbone("open_clip:tiny-vit/FIRST-1")):
        assert backbone.fingerprint_fields() == fetched.fingerprint_fields()
        assert backbone.input == fetched.input
    assert fetched.factory == "open_clip:tiny-vit"


def test_a_store_finds_what_it_was_made_with_in_the_cache_again(whole_model, hub):
    hub.add("tests/tiny-vit", {"open_clip_model.safetensors": whole_model("tiny-vit")[1].read_bytes()})
    first = build_backbone("open_clip:tiny-vit/first_1")
    before = len(hub.requests)
    again = rebuild_backbone(first.source, "store x")
    assert again.weights == first.weights
    assert len(hub.requests) == before
    assert OpenClip().has_weights("open_clip:tiny-vit/first_1", "pretrained")
    assert not OpenClip().has_weights("open_clip:tiny-vit/quick", "pretrained")
    with pytest.raises(ConfigError, match="nothing is downloaded because a file says so"):
        rebuild_backbone({"backbone": "open_clip:tiny-vit/quick", "weights": "pretrained"}, "store x")


def test_a_file_that_the_tag_names_and_safetensors_before_it(whole_model, hub):
    _, path = whole_model("tiny-siglip", ".bin")
    hub.add("tests/tiny-siglip", {"pytorch_model.bin": path.read_bytes()})
    pickled = build_backbone("open_clip:tiny-siglip/webli")
    assert pickled.input.evaluate == "resize(160,160)"
    save_file(torch.load(path, weights_only=True), path.with_suffix(".safetensors"))
    broken = {"pytorch_model.bin": b"no weights"}
    hub.add("tests/tiny-siglip", {"pytorch_model.safetensors": path.with_suffix(".safetensors").read_bytes(), **broken})
    assert build_backbone("open_clip:tiny-siglip/webli").weights == pickled.weights


def test_a_file_with_the_image_tower_alone_is_taken_too(whole_model, tmp_path):
    model, path = whole_model("tiny-eva")
    torch.save(model.visual.state_dict(), tmp_path / "tower.pth")
    towers = [build_backbone("open_clip:tiny-eva", str(file)) for file in (path, tmp_path / "tower.pth")]
    assert towers[0].weights == towers[1].weights


def test_the_activation_is_the_one_that_the_weights_were_trained_with(whole_model, open_clip, hub):
    """`ViT-B-32/openai`, as everybody writes it: open_clip warns that its features are not those of CLIP, and goes on."""
    _, path = whole_model("tiny-vit")
    hub.add("tests/quick", {"open_clip_model.safetensors": path.read_bytes()})
    backbone = build_backbone("open_clip:tiny-vit/quick")
    assert any(type(module).__name__ == "QuickGELU" for module in backbone.module.modules())
    untold = build_backbone("open_clip:tiny-vit", str(path)).module
    assert not any(type(module).__name__ == "QuickGELU" for module in untold.modules())
    right = open_clip.create_model("tiny-vit", pretrained=str(path), force_quick_gelu=True).eval()
    pixels = images((64, 64))
    with torch.no_grad():
        expected = right.encode_image(normalised(backbone, pixels))
    torch.testing.assert_close(features(backbone, "projection", pixels), expected, atol=1e-4, rtol=1e-3)


# --- size


@pytest.mark.parametrize("size", [(96, 96), (64, 96)])
def test_position_embeddings_are_resampled_as_open_clip_does(whole_model, open_clip, size):
    _, path = whole_model("tiny-vit")
    backbone = build_backbone("open_clip:tiny-vit", str(path), evaluate="resize({},{})".format(*size))
    model = open_clip.create_model("tiny-vit", pretrained=str(path), force_image_size=size).eval()
    pixels = images(size)
    with torch.no_grad():
        expected = model.encode_image(normalised(backbone, pixels))
    torch.testing.assert_close(features(backbone, "projection", pixels), expected, atol=1e-4, rtol=1e-3)
    assert features(backbone, "transformer.resblocks.1=none", pixels).shape[1] == 1 + math.prod(size) / 256


def test_a_size_by_keyword_is_the_default_input_and_another_backbone(whole_model):
    _, path = whole_model("tiny-siglip")
    own, larger = (build_backbone(f"open_clip:tiny-siglip{query}", str(path)) for query in ("", "?img_size=192"))
    assert (own.input.evaluate, larger.input.evaluate) == ("resize(160,160)", "resize(192,192)")
    assert own.fingerprint_fields() != larger.fingerprint_fields()
    assert features(larger, "trunk.blocks.0=tokens", images((192, 192))).shape[1] == 144
    oblong = build_backbone("open_clip:tiny-vit?img_size=[64,96]", "none", evaluate="resize(64,96)")
    assert features(oblong, "transformer.resblocks.0=none", images((64, 96))).shape[1] == 25


def test_a_size_that_cannot_be(whole_model):
    with pytest.raises(ConfigError, match="tiny-resnet is made for 64 x 64 pixels alone, not for 96 x 96"):
        build_backbone("open_clip:tiny-resnet?img_size=96", "none")
    with pytest.raises(ConfigError, match=r"img_size='big' is no size"):
        build_backbone("open_clip:tiny-vit?img_size=big", "none")
    with pytest.raises(ConfigError, match="give --transform"):  # shortest side, then a crop that is no square
        build_backbone("open_clip:tiny-vit?img_size=[64,96]", "none")


# --- names


@pytest.mark.parametrize(
    ("spec", "weights", "kind", "message"),
    [
        (
            "open_clip:tiny-vitt",
            "none",
            ConfigError,
            "no architecture 'tiny-vitt' in open_clip: did you mean 'tiny-vit'",
        ),
        ("open_clip:ViT-B/32", None, ConfigError, "no architecture 'ViT-B' in open_clip: did you mean 'ViT-B-"),
        ("open_clip:tiny-vit/fist_1", None, ConfigError, "no weights 'fist_1' for tiny-vit: did you mean 'first_1'"),
        (
            "open_clip:tiny-vit",
            None,
            ConfigError,
            "name open_clip:tiny-vit/first_1, open_clip:tiny-vit/quick, or give",
        ),
        ("open_clip:tiny-resnet", None, ConfigError, "name no tag, there are none, or give --weights FILE"),
        ("open_clip:tiny-vit/quick", "openai", WeightsError, "take pretrained, a file or none"),
        ("open_clip:tiny-vit?width=3", "none", ConfigError, "unexpected keyword argument 'width'"),
        ("open_clip:tiny-vit?pretrained=openai", "none", ConfigError, "'pretrained' is no keyword here"),
    ],
)
def test_what_is_wrong_with_a_name(open_clip, spec, weights, kind, message):
    with pytest.raises(kind, match=message):
        build_backbone(spec, weights)


def test_gated_weights_and_weights_of_another_architecture(whole_model, hub):
    hub.add("tests/tiny-vit", {"open_clip_model.safetensors": whole_model("tiny-vit")[1].read_bytes()})
    hub.gate("tests/tiny-vit")
    with pytest.raises(WeightsError, match="accepted its terms"):
        build_backbone("open_clip:tiny-vit/first_1")
    with pytest.raises(WeightsError, match="does not fit this backbone"):
        build_backbone("open_clip:tiny-resnet", str(whole_model("tiny-vit")[1]))


def test_without_open_clip_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)  # importing it is an ImportError now
    with pytest.raises(ConfigError, match=r"pip install 'udta\[open_clip\]'"):
        build_backbone("open_clip:ViT-B-32/openai")


def test_a_data_file_may_have_listed_architectures_built(open_clip):
    assert OpenClip().is_safe_from_file("open_clip:tiny-vit/quick")
    assert not any(
        OpenClip().is_safe_from_file(f"open_clip:{name}")
        for name in ("hf-hub:somebody/x", "local-dir:/x", "tiny-vit/x")
    )
