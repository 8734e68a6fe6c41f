"""One member of every family: its recommended taps, and their values against those of the plain module."""

import numpy as np
import pytest
import torch
import torchvision.models
from torch.nn.modules.module import register_module_forward_hook
from zoo import normalised, shake, watch

from udta.backbones import TapForward, build_backbone, list_taps, parse_taps, recommended_taps, resolve_taps
from udta.backbones._trace import POOLED, head_of
from udta.backbones.reducers import Reducer

CPU = torch.device("cpu")
# name: (pixels, recommended taps)
TORCHVISION = {
    "alexnet": (96, "features.4=none,features.10,features.11=avg"),
    "convnext_tiny": (64, "features.5=none,features.7,avgpool=avg"),
    "densenet121": (64, "features.denseblock3=none,features.denseblock4,features.norm5=avg"),
    "efficientnet_b0": (64, "features.5=none,features.8,avgpool=avg"),
    "googlenet": (64, "inception4e=none,inception5b,avgpool=avg"),
    "inception_v3": (128, "Mixed_6e=none,Mixed_7c,avgpool=avg"),
    "maxvit_t": (224, "blocks.2=grid(14),blocks.3,classifier.0=avg"),
    "mnasnet0_5": (64, "layers.11=none,layers.15,layers.16=avg"),
    "mobilenet_v2": (64, "features.13=none,features.17,features.18=avg"),
    "mobilenet_v3_small": (64, "features.8=none,features.12,avgpool=avg"),
    "regnet_y_400mf": (64, "trunk_output.block3=none,trunk_output.block4,avgpool=avg"),
    "resnet18": (64, "layer3=none,layer4,avgpool=avg"),
    "resnext50_32x4d": (64, "layer3=none,layer4,avgpool=avg"),
    "shufflenet_v2_x0_5": (64, "stage3=none,stage4,conv5=avg"),
    "squeezenet1_1": (96, "features.7=none,features.12,classifier.3=avg"),
    "swin_t": (64, "features.5=none,features.7,avgpool=avg"),
    "swin_v2_t": (64, "features.5=none,features.7,avgpool=avg"),
    "vgg11_bn": (64, "features.20=none,features.26,features.27=avg"),
    "vit_b_32": (224, ",".join(f"encoder.layers.encoder_layer_{number}=grid(7)" for number in (3, 6, 9)) + ",pooled"),
}
TIMM = {
    "timm:resnet18": (64, "layer3=none,layer4,global_pool.pool=avg"),
    "convnext_atto": (64, "stages.2=none,stages.3,head.global_pool.pool=avg"),
    "mobilenetv3_small_050": (64, "blocks.3=none,blocks.5,global_pool.pool=avg"),
    "regnety_002": (64, "s3=none,s4,head.global_pool.pool=avg"),
    "vit_tiny_patch16_224?img_size=128": (128, "blocks.3=grid(8),blocks.6=grid(8),blocks.9=grid(8),pooled"),
    "deit_tiny_distilled_patch16_224?img_size=128": (
        128,
        "blocks.3=grid(8),blocks.6=grid(8),blocks.9=grid(8),norm=cls",
    ),
    "vit_small_patch14_reg4_dinov2?img_size=112": (112, "blocks.3=grid(8),blocks.6=grid(8),blocks.9=grid(8),pooled"),
    "swin_tiny_patch4_window7_224": (224, "layers.2=grid(14),layers.3,head.global_pool"),
    "maxvit_rmlp_pico_rw_256": (256, "stages.2=grid(14),stages.3,head.global_pool.pool=avg"),
    "mixer_s32_224": (224, "blocks.2=grid(7),blocks.4=grid(7),blocks.6=grid(7),pooled"),
    "pvt_v2_b0": (64, "stages.2=none,stages.3,pooled"),
    "mambaout_femto": (64, "stages.2=none,stages.3,pooled"),
    "levit_128s": (224, "stages.1,stages.2"),
    "hiera_tiny_224": (224, "blocks.9=grid(14),blocks.11,pooled"),
}


def plain_outputs(backbone, names, pixels):
    """What hooks on the untouched module see, and how many modules have run when the last of them has."""
    outputs, ran, module = {}, [], backbone.module
    hooks = [watch(backbone, name, lambda tensor, name=name: outputs.update({name: tensor.clone()})) for name in names]
    hooks.append(register_module_forward_hook(lambda each, _i, _o: ran.append(each)))
    with torch.inference_mode():
        module(pixels)
    for hook in hooks:
        hook.remove()
    # The head itself need not run for what it is given.
    before = [ran.index(module.get_submodule(head_of(backbone))) for name in names if name == POOLED]
    return outputs, max([*before, *(1 + ran.index(module.get_submodule(name)) for name in names if name != POOLED)])


def check(name, size, recommended):
    backbone = build_backbone(name, evaluate=f"resize({size},{size})")
    shake(backbone.module)
    infos = {tap.name: tap for tap in list_taps(backbone, "float32")}
    assert recommended_taps(list(infos.values())) == recommended
    specs = resolve_taps(backbone, parse_taps(recommended), "float32")
    images = torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    expected, n_ran = plain_outputs(backbone, [spec.module for spec in specs], normalised(backbone, images))
    weights, run, ran = backbone.weights, TapForward(backbone, specs, "float32", CPU), []
    counting = register_module_forward_hook(lambda each, _i, _o: ran.append(each))
    try:
        found = run(images)
    finally:
        counting.remove()
    assert len(ran) == n_ran  # nothing after the last tap
    assert backbone.weights == weights
    backbone.check_frozen()
    for spec in specs:
        info = infos[spec.name]
        assert spec.shape == tuple(found[spec.name].shape[1:])
        assert info.recommended not in ("", None) or spec.shape == info.stored_shape
        assert info.bytes_per_image == 4 * np.prod(info.stored_shape)
        reference = Reducer.parse(spec.reducer)(expected[spec.name])
        assert (reference[0] != reference[1]).any()
        np.testing.assert_allclose(found[spec.name], reference, atol=1e-4 * float(reference.abs().max()))


def test_every_family_of_torchvision_is_tested():
    def families(names):
        return {torchvision.models.get_model_builder(name).__module__ for name in names}

    assert families(TORCHVISION) == families(torchvision.models.list_models(module=torchvision.models))


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name):
    check(name, *TORCHVISION[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    pytest.importorskip("timm", reason="needs the extra timm")
    check(name, *TIMM[name])
