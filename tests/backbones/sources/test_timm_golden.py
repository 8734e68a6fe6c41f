"""What is stored of timm's models from a hub against plain timm code, reducer by reducer, in float32."""

import numpy as np
import pytest
import torch
from timm_hub import saved

from udta.backbones import TapForward, build_backbone, parse_taps, resolve_taps

pytest.importorskip("timm", reason="needs the extra timm")
TINY = {"depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 10, "img_size": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = {
        "class": ("vit_tiny_patch16_224", TINY),
        "registers": ("vit_tiny_patch16_224", {**TINY, "reg_tokens": 4}),
        "attention-pooled": (
            "vit_tiny_patch16_224",
            {**TINY, "class_token": False, "global_pool": "map", "num_classes": 0},
        ),
        "map": ("test_resnet", {"num_classes": 10}),
    }
    return {kind: saved(tmp_path_factory.mktemp(kind), name, **arguments) for kind, (name, arguments) in made.items()}


def of_timm(model, module, pixels):
    """The output of a module and what the model feeds its classifier."""
    kept = {}
    hook = model.get_submodule(module).register_forward_hook(lambda _m, _i, out: kept.update(value=out))
    config = model.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        features = model.forward_features((pixels / 255 - mean) / std)
        pooled = model.forward_head(features, pre_logits=True)
    hook.remove()
    return kept["value"], pooled


def patches(tokens, prefix, side):
    return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, side, side)


def averaged(grid, n):
    return torch.nn.functional.adaptive_avg_pool2d(grid, n)


EXPECTED = {
    ("class", "none"): lambda out: out,
    ("class", "cls"): lambda out: out[:, 0],
    ("class", "avg"): lambda out: out[:, 1:].mean(dim=1),
    ("class", "tokens"): lambda out: out[:, 1:],
    ("class", "grid"): lambda out: patches(out, 1, 4),
    ("class", "grid(2)"): lambda out: averaged(patches(out, 1, 4), 2),
    ("registers", "none"): lambda out: out,
    ("registers", "cls"): lambda out: out[:, 0],
    ("registers", "registers"): lambda out: out[:, 1:5],
    ("registers", "avg"): lambda out: out[:, 5:].mean(dim=1),
    ("registers", "tokens"): lambda out: out[:, 5:],
    ("registers", "grid"): lambda out: patches(out, 5, 4),
    ("registers", "grid(3)"): lambda out: averaged(patches(out, 5, 4), 3),
    ("attention-pooled", "grid"): lambda out: patches(out, 0, 4),
    ("attention-pooled", "avg"): lambda out: out.mean(dim=1),
    ("map", "none"): lambda out: out,
    ("map", "grid"): lambda out: out,
    ("map", "grid(3)"): lambda out: averaged(out, 3),
    ("map", "avg"): lambda out: out.mean(dim=(2, 3)),
}


@pytest.mark.parametrize(("kind", "reducer"), EXPECTED)
def test_each_reducer_is_what_plain_timm_code_gives(hub, models, kind, reducer):
    model, folder = models[kind]
    hub.add("someone/tiny", folder)
    backbone = build_backbone("hf-hub:someone/tiny")
    side = 160 if kind == "map" else TINY["img_size"]
    pixels = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    module = "layer2" if kind == "map" else "blocks.0"
    output, pooled = of_timm(model, module, pixels)
    taps = resolve_taps(backbone, parse_taps(f"{module}={reducer},pooled"), "float32")
    found = TapForward(backbone, taps, "float32", torch.device("cpu"))(pixels)
    for name, expected in ((module, EXPECTED[kind, reducer](output)), ("pooled", pooled)):
        np.testing.assert_allclose(found[name], expected, atol=1e-3 * float(expected.abs().max()))
