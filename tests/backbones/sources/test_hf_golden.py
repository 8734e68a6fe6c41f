"""Features of transformers' models beside what plain transformers code makes of the same picture.

The code on the other side is that of the library's pages: processor, model, `output_hidden_states`. The model is the one that was
saved, so that whatever loading loses or draws anew shows here.
"""

import re

import numpy as np
import pytest
import tiny_hf
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from udta.backbones import TapForward, build_backbone, parse_taps, resolve_taps
from udta.images import Transform

# Of each family: a block, the index of its output among `hidden_states`, and the tokens before its patches.
BLOCKS = {
    "dinov2": ("encoder.layer.1", 2, 1),
    "dinov2_registers": ("encoder.layer.1", 2, 5),
    "dinov3": ("model.layer.1", 2, 5),
    "dinov3_convnext": ("model.stages.1", 2, None),
    "siglip": ("encoder.layers.1", 2, 0),
    "clip": ("encoder.layers.1", 2, 1),
    "vit": ("layers.1", 2, 1),
    "vit_classifier": ("layers.1", 2, 1),
    "deit": ("layers.1", 2, 2),
    "beit": ("layers.1", 2, 1),
    "swin": ("encoder.layers.0.tokens", 1, 0),
    "swinv2": ("encoder.layers.0.tokens", 1, 0),
    "convnext": ("encoder.stages.1", 2, None),
    "convnextv2": ("encoder.stages.1", 2, None),
}

# They resample in every forward pass, or have no embeddings of positions.
NATURAL = ("dinov2", "dinov2_registers", "dinov3", "dinov3_convnext", "convnext", "convnextv2")


@pytest.fixture(scope="module")
def picture():
    """Like a photograph: smooth, with grain."""
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
        (120, 90), Image.Resampling.BICUBIC
    )
    return Image.fromarray((np.asarray(smooth) + rng.normal(0, 9, (90, 120, 3))).clip(0, 255).astype(np.uint8))


def theirs(model, folder, picture):
    """Hidden states and the pooled vector, as the pages of transformers compute them."""
    from transformers import AutoImageProcessor

    with tiny_hf.quiet():
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(picture, return_tensors="pt")["pixel_values"]
    if type(processor).__name__.startswith("DINOv3"):
        # It rounds no pixel after resizing, of which test_hf_input has the difference; here it is the network that counts.
        height, width = pixels.shape[2:]
        whole = np.array(picture.resize((width, height), Image.Resampling.BILINEAR))
        pixels = processor(whole, do_resize=False, return_tensors="pt")["pixel_values"]
    return states(model, pixels)


def states(model, pixels, **more):
    # Of two towers the one for images; a classifier's trunk is called by the name of its family.
    whole = type(model).__name__.endswith("Model")
    trunk = getattr(model, "vision_model", model) if whole else getattr(model, model.base_model_prefix)
    with torch.inference_mode():
        found = trunk(pixels, output_hidden_states=True, **more)
    pooled = found.pooler_output
    return found.hidden_states, found.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)


def ours(folder, picture, taps, evaluate=None):
    """The backbone, and its features by reducer as they were asked for; what is no module is `pooled`."""
    backbone = build_backbone(f"hf:{folder}", evaluate=evaluate)
    specs = resolve_taps(backbone, parse_taps(taps), "float32")
    pixels = Transform.parse(backbone.input.evaluate).apply(picture, np.random.default_rng(0))
    forward = TapForward(backbone, specs, "float32", torch.device("cpu"))
    features = forward(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    asked = {spec.name: re.sub(r",?prefix=\d+", "", spec.reducer).replace("()", "") for spec in specs}
    return backbone, {("pooled" if name == "pooled" else asked[name]): values for name, values in features.items()}


def reduced(state, prefix):
    """What each reducer should give of a block, written down anew."""
    if prefix is None:  # a map
        return {
            "none": state,
            "avg": state.mean((2, 3)),
            "grid(2)": F.adaptive_avg_pool2d(state, 2),
            f"grid({state.shape[2]})": state,
        }
    patches = state[:, prefix:]
    side = int(patches.shape[1] ** 0.5)
    image = patches.transpose(1, 2).reshape(len(state), -1, side, side)
    found = {"none": state, "avg": patches.mean(1), "grid(2)": F.adaptive_avg_pool2d(image, 2), f"grid({side})": image}
    found |= {"cls": state[:, 0], "tokens": patches} if prefix else {}
    return found | ({"registers": state[:, 1:prefix]} if prefix > 1 else {})


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCKS)
def test_each_reducer_gives_what_plain_code_gives(family, tmp_path, picture):
    model = tiny_hf.save(family, tmp_path)
    hidden, pooled = theirs(model, tmp_path, picture)
    block, index, prefix = BLOCKS[family]
    expected = {**reduced(hidden[index], prefix), "pooled": pooled}
    taps = ",".join(reducer if reducer == "pooled" else f"{block}={reducer}" for reducer in expected)
    backbone, features = ours(tmp_path, picture, taps)
    assert features.keys() == expected.keys()
    for reducer, values in expected.items():
        torch.testing.assert_close(features[reducer], values, rtol=1e-3, atol=1e-3)
    assert backbone.module.num_prefix_tokens == prefix or prefix is None


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vit_classifier", "beit", "swin", "convnext"])
def test_a_classifier_gives_its_logits_from_what_is_pooled(family, tmp_path, picture):
    from transformers import AutoImageProcessor

    model = tiny_hf.save(family, tmp_path)
    _, features = ours(tmp_path, picture, "pooled")
    processor = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    with torch.inference_mode():
        expected = model(**processor(picture, return_tensors="pt")).logits
        torch.testing.assert_close(model.classifier(features["pooled"]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCKS)
def test_oblong_images_are_resampled_as_transformers_does(family, tmp_path, picture):
    model = tiny_hf.save(family, tmp_path)
    evaluate = "resize(56,84)"
    backbone, features = ours(tmp_path, picture, f"{BLOCKS[family][0]}=none,{BLOCKS[family][0]}=grid", evaluate)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    pixels = torch.from_numpy(Transform.parse(evaluate).apply(picture, np.random.default_rng(0))).permute(2, 0, 1)
    more = {} if family in NATURAL else {"interpolate_pos_encoding": True}
    hidden, _ = states(model, ((pixels / 255 - mean) / std)[None], **more)
    _, index, prefix = BLOCKS[family]
    torch.testing.assert_close(features.pop("none"), hidden[index], rtol=1e-3, atol=1e-3)
    # As the patches lie in 56 x 84 pixels: of 7, of 8, and of 4 that are merged two by two, with a border where that is odd.
    (reducer, grid), tokens = (
        features.popitem(),
        hidden[index].flatten(2).transpose(1, 2) if prefix is None else hidden[index],
    )
    rows, columns = {"dinov2": (8, 12), "dinov2_registers": (8, 12), "swin": (7, 11), "swinv2": (7, 11)}.get(
        family, (7, 10)
    )
    assert prefix is None or reducer == f"grid({rows}x{columns})"
    expected = tokens[:, prefix or 0 :].transpose(1, 2).reshape(grid.shape)
    torch.testing.assert_close(grid, expected, rtol=1e-3, atol=1e-3)
