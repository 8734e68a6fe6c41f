"""Architectures of other people with random weights: the smallest of each family of timm, and everything that torchvision has.

What has more parameters than `MOST` is left out: it differs from its smaller relatives in numbers alone, and the whole zoo shall
take five minutes on two cores.
"""

from collections import defaultdict

import torch
import torchvision.models
from torch import nn

from udta.backbones import (
    TapForward,
    build_backbone,
    check_pure,
    fitting_memory_format,
    list_taps,
    parse_taps,
    probe_backbone,
    recommended_taps,
    resolve_taps,
)
from udta.backbones._trace import POOLED, head_of
from udta.backbones.reducers import Reducer
from udta.errors import FeatureError

CPU = torch.device("cpu")
MOST = 60_000_000

_TIMM = """
cait_xxs24_224 coat_tiny convit_tiny convmixer_768_32 cpubone_nano crossvit_tiny_240 cs3darknet_focus_s csatv2
cspnext_tiny davit_tiny deit_tiny_patch16_224 densenet121 dla46x_c dpn48b edgenext_xx_small efficientformer_l1
efficientformerv2_s0 efficientvim_m1 efficientvit_b0 efficientvit_m0 ese_vovnet19b_slim_dw eva02_tiny_patch14_224
fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_050 gmlp_ti16_224 halonet_h1 hardcorenas_b hgnetv2_b0
hiera_tiny_224 hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4
lambda_resnet26t lcnetv2_small legacy_seresnet18 legacy_xception levit_128s lowformer_b0 mobilenetv3_small_050
mobilevit_xxs mvitv2_tiny nest_tiny nextvit_small pit_ti_224 poolformerv2_s12 pvt_v2_b0 rdnet_tiny regnetx_002
repghostnet_050 repvit_m1 res2next50 resnest14d resnetv2_18 rexnet_100 sam2_hiera_tiny selecsls42 sequencer2d_s
shvit_s1 skresnet18 starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_cr_tiny_224
swinv2_tiny_window8_256 test_byobnet test_coatnet test_convnext test_efficientnet test_mambaout test_nfnet test_resnet
test_vit test_vit_relpos tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small visformer_tiny
vit_tiny_patch16_dinov3_qkvb vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 xception41p xcit_nano_12_p8_224
"""
TIMM = tuple(_TIMM.split())
# Families whose smallest member has more than `MOST` parameters.
TOO_LARGE = {
    "beit", "deepseek_vit", "gemma4_vit", "mobilenetv5", "naflexvit", "nasnet", "pnasnet", "qwen3_vit", "vgg",
    "vision_transformer_sam",
}  # fmt: skip
# Networks that find boxes take images as a list of any size; these sizes make them small.
_BOXES = "min_size=64&max_size=64"


def torchvision_specs():
    """What names each architecture of torchvision, by its name."""
    models = torchvision.models
    specs = {name: name for name in models.list_models(module=models)}
    for name in models.list_models(module=models.quantization):
        specs[name] = f"torchvision.models.quantization:{name.removeprefix('quantized_')}?quantize=false"
    for name in ("quantized_googlenet", "quantized_inception_v3"):  # they warn where nothing is said of it
        specs[name] += "&init_weights=false"
    for name in models.list_models(module=models.segmentation):
        specs[name] = f"torchvision.models.segmentation:{name}?weights_backbone=null"
    for name in models.list_models(module=models.detection):
        size = "" if name.startswith("ssd") else f"&{_BOXES}"
        specs[name] = f"torchvision.models.detection:{name}?weights_backbone=null{size}"
    for name in models.list_models(module=models.video):
        specs[name] = f"torchvision.models.video:{name}"
    for name in models.list_models(module=models.optical_flow):
        specs[name] = f"torchvision.models.optical_flow:{name}"
    return specs


def is_large(name):
    """By what torchvision says of the published weights."""
    return next(iter(torchvision.models.get_model_weights(name))).meta["num_params"] > MOST


def families_of_timm():
    """Names of models by the file they are written in."""
    import timm
    from timm.models._registry import _model_to_module

    families = defaultdict(list)
    for name in timm.list_models():
        families[_model_to_module[name]].append(name)
    return families


def normalised(backbone, images):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    return (images / 255 - mean) / std


def shake(module):
    """Statistics that folding has to take into account."""
    torch.manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.8, 1.25)


def watch(backbone, tap, keep):
    """A plain hook that calls `keep` with what a tap is of: a module's output, or what the head is given."""
    if tap != POOLED:
        return backbone.module.get_submodule(tap).register_forward_hook(lambda _m, _i, output: keep(output))
    return backbone.module.get_submodule(head_of(backbone)).register_forward_pre_hook(lambda _m, given: keep(given[0]))


def deviation(spec, size=None):
    """The largest relative difference, over the recommended taps, between features and plain hooks on the same module.

    Everything is done that an extraction does before its first image. Raises what it would.
    """
    backbone = build_backbone(spec, evaluate=f"resize({size},{size})" if size else None)
    shake(backbone.module)
    specs = resolve_taps(backbone, parse_taps(recommended_taps(list_taps(backbone, "float32"))), "float32")
    check_pure(backbone, specs, "float32", CPU, allowed=False)
    chosen = fitting_memory_format(backbone, specs, "float32", CPU, probe_backbone(backbone, specs, "float32", CPU))
    side = size or int(backbone.input.evaluate.rpartition("(")[2].partition(")")[0].partition(",")[0])
    images = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = TapForward(backbone, specs, "float32", CPU, memory_format=chosen)(images)
    outputs = {}
    for spec in specs:
        watch(backbone, spec.module, lambda tensor, name=spec.name: outputs.update({name: tensor.clone()}))
    with torch.inference_mode():
        backbone.module(normalised(backbone, images))
    worst = 0.0
    for spec in specs:
        if not found[spec.name].isfinite().all():
            raise FeatureError(f"tap {spec.name!r} is not finite, which is never stored")
        reference = Reducer.parse(spec.reducer)(outputs[spec.name])
        worst = max(worst, float((found[spec.name] - reference).abs().max() / reference.abs().max()))
    return worst
