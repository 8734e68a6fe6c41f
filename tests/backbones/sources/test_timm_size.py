"""timm's models for images of another size than that of their weights: position embeddings as timm itself resamples them."""

import re

import pytest
import torch
from timm_hub import saved

from udta.backbones import build_backbone, rebuild_backbone
from udta.errors import BackboneError, ConfigError, WeightsError

timm = pytest.importorskip("timm", reason="needs the extra timm")

# Small ones of an architecture that has a size; timm's own `test_vit` takes images of any.
SMALL = {"depth": 1, "embed_dim": 48, "num_classes": 10}
SPEC = "vit_tiny_patch16_224?depth=1&embed_dim=48&num_classes=10"


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("vit"), "vit_tiny_patch16_224", reg_tokens=4, img_size=160, **SMALL)


def by_timm(folder, size):
    """What timm makes of the same folder."""
    return timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=size).state_dict()


def equal(module, state):
    return module.state_dict().keys() == state.keys() and all(
        torch.equal(values, state[name]) for name, values in module.state_dict().items()
    )


@pytest.mark.parametrize(
    ("query", "transform", "size"),
    [
        ("?img_size=224", None, (224, 224)),
        ("?img_size=[80,320]", "resize(80,320)", (80, 320)),  # as many patches as 160x160, in another shape
        ("", "resize(128,192)", (128, 192)),
        ("", "resize(256)|centre_crop(96)", (96, 96)),
        ("", "resize(160,160)", (160, 160)),
        ("?img_size=160", None, (160, 160)),
    ],
)
def test_position_embeddings_are_those_of_timm(hub, vit, query, transform, size):
    hub.add("someone/birds", vit[1])
    expected = by_timm(vit[1], size)
    for name, weights in (
        ("hf-hub:someone/birds", None),
        (f"local-dir:{vit[1]}", None),
        (f"local-dir:{vit[1]}", str(vit[1] / "model.safetensors")),
    ):
        backbone = build_backbone(name + query, weights, evaluate=transform)
        assert equal(backbone.module, expected)
        assert backbone.module(torch.zeros(1, 3, *size)).shape == (1, 10)


def test_a_file_of_a_tag_is_resampled_as_pretrained_weights_are(hub, tmp_path):
    model, folder = saved(tmp_path / "a", "vit_tiny_patch16_224", **SMALL)
    hub.add("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", folder)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    overlay = {"state_dict": model.state_dict(), "num_classes": 10}
    plain = timm.create_model(
        "vit_tiny_patch16_224", pretrained=True, pretrained_cfg_overlay=overlay, img_size=(96, 128), **SMALL
    )
    backbones = [
        build_backbone(SPEC, weights, evaluate="resize(96,128)") for weights in ("pretrained", str(tmp_path / "w.pth"))
    ]
    assert all(equal(backbone.module, plain.state_dict()) for backbone in backbones)
    assert backbones[0].fingerprint_fields() == backbones[1].fingerprint_fields()
    assert backbones[0].input.evaluate == "resize(96,128)"


def test_the_fingerprint_tells_sizes_apart_and_a_store_builds_its_own(vit):
    name = f"local-dir:{vit[1]}"
    made = [build_backbone(name, evaluate=text) for text in (None, "resize(96,96)", "resize(80,320)", "resize(320,80)")]
    weights = {(backbone.weights, backbone.factory, backbone.input.evaluate) for backbone in made}
    assert len(weights) == 4
    for backbone in made:
        again = rebuild_backbone(backbone.source, "store s", evaluate=backbone.input.evaluate)
        assert again.fingerprint_fields() == backbone.fingerprint_fields()


def test_a_transform_of_the_own_size_changes_nothing_that_identifies():
    plain, told = build_backbone(SPEC), build_backbone(SPEC, evaluate="resize(224,224)")
    assert plain.fingerprint_fields() == told.fingerprint_fields()


def test_networks_that_take_any_size_are_built_as_they_are():
    for name in ("test_resnet", "test_vit", SPEC + "&dynamic_img_size=true"):
        plain, told = build_backbone(name), build_backbone(name, evaluate="resize(96,128)")
        assert plain.fingerprint_fields() == told.fingerprint_fields()


@pytest.mark.parametrize(
    ("spec", "transform", "message"),
    [
        (
            SPEC + "&img_size=96",
            "resize(128,128)",
            r"for images of 96x96 \(img_size\), but --transform makes them 128x128",
        ),
        ("test_vit?img_size=[96,128]", None, "give --transform"),
        ("test_vit?img_size=big", None, "img_size is 'big', but is a number of pixels"),
        ("test_vit?img_size=[96]", None, r"img_size is \[96\], but is"),
        ("test_resnet?img_size=96", None, "unexpected keyword argument 'img_size'"),
        ("nest_tiny", "resize(128,160)", "cannot be built for images of 128x160, as --transform makes them .*square"),
    ],
)
def test_a_size_that_cannot_be_is_one_sentence(spec, transform, message):
    with pytest.raises((ConfigError, BackboneError), match=message):
        build_backbone(spec, evaluate=transform)


@pytest.mark.parametrize("spec", [SPEC + "&img_size=96", "dla34"])
def test_wrong_weights_are_listed_and_nothing_stays_random(tmp_path, spec):
    """Also of the families that timm itself fills as far as it goes."""
    torch.save(build_backbone("test_resnet").module.state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"(?s)does not fit this backbone.*missing in the file.*not in the backbone"):
        build_backbone(spec, str(tmp_path / "w.pth"))


def test_keys_of_another_code_base_are_renamed_as_timm_renames_them(tmp_path):
    """As Facebook's DeiT-III has `gamma_1` where timm has `ls1.gamma`."""
    torch.manual_seed(0)
    model = timm.create_model("deit3_small_patch16_224", depth=1)
    state = {re.sub(r"ls([12]).gamma", r"gamma_\1", name): values for name, values in model.state_dict().items()}
    torch.save({"model": state}, tmp_path / "w.pth")
    assert equal(build_backbone("deit3_small_patch16_224?depth=1", str(tmp_path / "w.pth")).module, model.state_dict())
