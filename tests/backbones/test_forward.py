"""The forward pass: the same numbers as the plain module, no further than the last tap."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from toy import ToyNet

from udta.backbones import (
    Backbone,
    InputSpec,
    TapForward,
    build_backbone,
    parse_taps,
    resolve_compute,
    resolve_device,
    resolve_taps,
)
from udta.backbones._forward import fold_batchnorm
from udta.errors import BackboneError, ConfigError

CPU = torch.device("cpu")


def with_statistics(module):
    """BatchNorm that has something to fold."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias)
    return module.eval().requires_grad_(False)


def features(backbone, taps, images, compute="float32", dtype="float32"):
    return TapForward(backbone, resolve_taps(backbone, parse_taps(taps), dtype), compute, CPU)(images)


def images(size, n=4):
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "torchvision.models.quantization:mobilenet_v2?quantize=false"]
)
def test_equals_the_plain_module_in_float32(name):
    backbone = build_backbone(name, evaluate="resize(64,64)")
    with_statistics(backbone.module)
    tap = "layer3" if name == "resnet18" else "features.13"
    expected = {}
    hook = backbone.module.get_submodule(tap).register_forward_hook(
        lambda _m, _i, out: expected.update(value=out.clone())
    )
    pixels = images(64)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    with torch.no_grad():
        backbone.module((pixels / 255 - mean) / std)
    hook.remove()
    found = features(backbone, f"{tap}=none", pixels)[tap]
    scale = float(expected["value"].abs().max())
    np.testing.assert_allclose(found, expected["value"], atol=1e-4 * scale)


def test_bfloat16_is_near_float32_and_stored_as_asked():
    backbone = build_backbone("toy:net")
    full = features(backbone, "stage2=avg", images(16))["stage2"]
    half = features(backbone, "stage2=avg", images(16), "bfloat16", "float16")["stage2"]
    assert half.dtype == torch.float16
    assert (half.float() - full).pow(2).mean().sqrt() / full.pow(2).mean().sqrt() < 2e-2


def test_folding_keeps_the_output_and_spares_tapped_convolutions():
    module = with_statistics(ToyNet())
    pixels, folded = torch.randn(2, 3, 16, 16), with_statistics(ToyNet())
    folded.load_state_dict(module.state_dict())
    assert fold_batchnorm(folded) == 2
    assert isinstance(folded.stage1[1], nn.Identity)
    np.testing.assert_allclose(folded(pixels), module(pixels), atol=1e-4)
    kept = with_statistics(ToyNet())
    assert fold_batchnorm(kept, keep=["stage1.0"]) == 1


def test_a_module_that_cannot_be_traced_is_left_alone():
    class Branching(ToyNet):
        def forward(self, pixels):
            return super().forward(pixels) if pixels.sum() > 0 else super().forward(-pixels)

    assert fold_batchnorm(with_statistics(Branching())) == 0


def test_nothing_after_the_last_tap_runs():
    class Explosive(ToyNet):
        armed = False

        def forward(self, pixels):
            middle = self.stage1(pixels)
            if self.armed:
                raise AssertionError("ran on")
            return self.head(self.stage2(middle).mean((2, 3)))

    module = with_statistics(Explosive())
    backbone = Backbone(module, "test", InputSpec("resize(16,16)"))
    specs = resolve_taps(backbone, parse_taps("stage1=avg"), "float32")
    module.armed = True
    assert TapForward(backbone, specs, "float32", CPU)(images(16))["stage1"].shape == (4, 8)


def test_a_later_in_place_operation_does_not_change_what_was_tapped():
    backbone = build_backbone("toy:net")
    tapped = features(backbone, "stage1.1=none,stage2=avg", images(16))["stage1.1"]
    assert (tapped < 0).any()  # before the ReLU(inplace=True) that follows it


def test_works_on_its_own_copy():
    backbone = build_backbone("toy:net")
    before = backbone.weights
    features(backbone, "stage1", images(16), "bfloat16")
    assert backbone.weights == before
    assert not backbone.module._forward_hooks
    assert not backbone.module.stage1._forward_hooks


def test_a_row_does_not_depend_on_the_others_in_its_batch():
    backbone = build_backbone("toy:net")
    pixels = images(16, 8)
    specs = resolve_taps(backbone, parse_taps("stage1=grid(4),stage2=avg"), "float16")
    run = TapForward(backbone, specs, "float32", CPU)
    first = run(pixels)
    pixels[3] = 0
    second = run(pixels)
    keep = [0, 1, 2, 4, 5, 6, 7]
    assert all(torch.equal(first[tap][keep], second[tap][keep]) for tap in first)


def test_an_unfrozen_backbone_is_refused():
    backbone = build_backbone("toy:net")
    specs = resolve_taps(backbone, parse_taps("stage1"), "float16")
    backbone.module.train()
    with pytest.raises(BackboneError, match="not frozen"):
        TapForward(backbone, specs, "float32", CPU)


def test_devices_and_arithmetic_by_name():
    assert resolve_device("cpu") == CPU
    for wrong in ("cdua", "meta", "cuda:99"):
        with pytest.raises(ConfigError):
            resolve_device(wrong)
    with pytest.raises(ConfigError, match="did you mean 'float32'"):
        resolve_compute("float23", CPU)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [(set(), "float32"), ({"_is_avx512_bf16_supported"}, "bfloat16"), ({"_is_amx_tile_supported"}, "bfloat16")],
)
def test_auto_is_bf16_where_a_processor_is_fast_at_it(monkeypatch, instructions, expected):
    monkeypatch.delenv("UDTA_AUTO_ON_CPU", raising=False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in instructions, raising=False)
    assert resolve_compute("auto", CPU) == expected
    assert resolve_compute("auto+compile", CPU) == expected + "+compile"
    monkeypatch.setenv("UDTA_AUTO_ON_CPU", "float32")
    assert resolve_compute("auto", CPU) == "float32"


@pytest.mark.gpu
def test_cuda_is_near_the_cpu():
    backbone = build_backbone("resnet18", evaluate="resize(64,64)")
    specs = resolve_taps(backbone, parse_taps("layer3,layer4=avg"), "float32")
    cpu = TapForward(backbone, specs, "float32", CPU)(images(64))
    gpu = TapForward(backbone, specs, "float32", torch.device("cuda"))(images(64))
    for tap, values in cpu.items():
        np.testing.assert_allclose(gpu[tap].cpu(), values, atol=2e-2 * float(values.abs().max()))


def frozen(module, size=16):
    return Backbone(module.eval().requires_grad_(False), "test", InputSpec(f"resize({size},{size})"))


def test_a_backbone_that_catches_exceptions_still_stops_at_the_last_tap():
    class Careful(ToyNet):
        def forward(self, pixels):
            try:
                return super().forward(pixels)
            except Exception:
                return pixels

    backbone = frozen(Careful())
    specs = resolve_taps(backbone, parse_taps("stage1=avg"), "float32")
    pixels = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    assert TapForward(backbone, specs, "float32", CPU)(pixels)["stage1"].shape == (2, 8)


@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
def test_transformers_run_in_reduced_precision(compute):
    torch.manual_seed(0)
    vit = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32)
    swin = torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4])
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for module, tap in ((vit, "encoder.layers.encoder_layer_1=cls"), (swin, "features.3=avg")):
        backbone = frozen(module, 32)
        specs = resolve_taps(backbone, parse_taps(tap), "float32")
        full, reduced = (TapForward(backbone, specs, each, CPU)(pixels)[specs[0].name] for each in ("float32", compute))
        assert (full - reduced).norm() / full.norm() < 3e-2
