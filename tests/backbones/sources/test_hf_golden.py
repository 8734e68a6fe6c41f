"""Features of transformers' models beside what plain transformers code makes of the same picture.

The code on the other side is that of the library's pages: processor, model, `output_hidden_states`. The model is the one that was
saved, so that whatever loading loses or draws anew shows here.
"""

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
    return states(model, processor(picture, return_tensors="pt")["pixel_values"])


def states(model, pixels, **more):
    # Of two towers the one for images; a classifier's trunk is called by the name of its family.
    whole = type(model).__name__.endswith("Model")
    trunk = getattr(model, "vision_model", model) if whole else getattr(model, model.base_model_prefix)
    with torch.inference_mode():
        found = trunk(pixels, output_hidden_states=True, **more)
    pooled = found.pooler_output
    return found.hidden_states, found.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)


def ours(folder, picture, taps, evaluate=None):
    backbone = build_backbone(f"hf:{folder}", evaluate=evaluate)
    specs = resolve_taps(backbone, parse_taps(taps), "float32")
    pixels = Transform.parse(backbone.input.evaluate).apply(picture, np.random.default_rng(0))
    forward = TapForward(backbone, specs, "float32", torch.device("cpu"))
    return backbone, forward(torch.from_numpy(pixels).permute(2, 0, 1)[None])


def reduced(state, reducer, prefix, grid=None):
    """What a reducer should give, written down anew."""
    if prefix is None:  # a map
        return {"none": state, "avg": state.mean((2, 3)), "grid(2)": F.adaptive_avg_pool2d(state, 2)}.get(reducer)
    patches = state[:, prefix:]
    height, width = grid or [int(patches.shape[1] ** 0.5)] * 2
    image = patches.transpose(1, 2).reshape(len(state), -1, height, width)
    found = {"none": state, "avg": patches.mean(1), "grid(2)": F.adaptive_avg_pool2d(image, 2)}
    if prefix:
        found |= {"cls": state[:, 0], "tokens": patches}
    return found.get(reducer)


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCKS)
def test_each_reducer_gives_what_plain_code_gives(family, tmp_path, picture):
    model = tiny_hf.save(family, tmp_path)
    hidden, pooled = theirs(model, tmp_path, picture)
    block, index, prefix = BLOCKS[family]
    for reducer in ("none", "avg", "grid(2)", "cls", "tokens"):
        expected = reduced(hidden[index], reducer, prefix)
        if expected is not None:
            _, features = ours(tmp_path, picture, f"{block}={reducer}")
            tolerance = _rounding(family)
            torch.testing.assert_close(features[block], expected, rtol=tolerance, atol=tolerance, msg=reducer)
    backbone, features = ours(tmp_path, picture, "classifier" if family == "siglip" else "head")
    torch.testing.assert_close(*features.values(), pooled, rtol=_rounding(family), atol=_rounding(family))
    assert backbone.module.num_prefix_tokens == prefix or prefix is None


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vit_classifier", "beit", "swin", "convnext"])
def test_a_classifier_gives_its_logits_from_what_is_pooled(family, tmp_path, picture):
    from transformers import AutoImageProcessor

    model = tiny_hf.save(family, tmp_path)
    _, features = ours(tmp_path, picture, "head")
    processor = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    with torch.inference_mode():
        expected = model(**processor(picture, return_tensors="pt")).logits
        torch.testing.assert_close(model.classifier(features["head"]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCKS)
def test_oblong_images_are_resampled_as_transformers_does(family, tmp_path, picture):
    model = tiny_hf.save(family, tmp_path)
    evaluate = "resize(56,84)"
    backbone, features = ours(tmp_path, picture, f"{BLOCKS[family][0]}=none", evaluate)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    pixels = torch.from_numpy(Transform.parse(evaluate).apply(picture, np.random.default_rng(0))).permute(2, 0, 1)
    more = {} if family in NATURAL else {"interpolate_pos_encoding": True}
    hidden, _ = states(model, ((pixels / 255 - mean) / std)[None], **more)
    torch.testing.assert_close(features[BLOCKS[family][0]], hidden[BLOCKS[family][1]], rtol=1e-3, atol=1e-3)


def _rounding(family):
    """DINOv3's processor resizes numbers and not pixels: ours are rounded to a level, half of one from theirs at most."""
    return 0.05 if family.startswith("dinov3") else 1e-3
