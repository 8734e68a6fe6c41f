"""The transform that is made of an image processor, and the pixels of both."""

import json

import numpy as np
import pytest
import tiny_hf
from PIL import Image

from udta.backbones.sources._hf_input import input_of_processor
from udta.errors import ConfigError
from udta.images import Transform

pytest.importorskip("transformers", reason="needs the extra transformers")

BIT = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "crop_size": 224, "resample": 3}
VIT = {"feature_extractor_type": "ViTFeatureExtractor", "size": 224, "resample": 2}
CONVNEXT = {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "resample": 3}
DEIT = {"feature_extractor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224, "resample": 3}
DINOV3 = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 224, "width": 224}, "resample": 2}
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": 224, "crop_size": 224, "resample": 3}


def spec_of(folder, document, img_size=None):
    (folder / "preprocessor_config.json").write_text(json.dumps(document))
    return input_of_processor(folder, img_size, "model x")


@pytest.mark.parametrize(
    ("document", "img_size", "evaluate"),
    [
        (BIT, None, "resize(256,filter=bicubic)|centre_crop(224)"),
        (BIT, (518, 518), "resize(592,filter=bicubic)|centre_crop(518)"),
        (BIT, (252, 336), ""),
        (VIT, None, "resize(224,224)"),
        (VIT, (384, 384), "resize(384,384)"),
        (VIT, (252, 336), "resize(252,336)"),
        (CLIP, None, "resize(224,filter=bicubic)|centre_crop(224)"),
        (DEIT, None, "resize(256,256,filter=bicubic)|centre_crop(224)"),
        ({**CONVNEXT, "size": {"shortest_edge": 224}}, None, "resize(256,filter=bicubic)|centre_crop(224)"),
        ({**CONVNEXT, "size": {"shortest_edge": 384}}, None, "resize(384,384,filter=bicubic)"),
        ({**CONVNEXT, "size": {"shortest_edge": 224}}, (384, 384), "resize(384,384,filter=bicubic)"),
        ({**BIT, "do_center_crop": False}, None, ""),  # images of different sizes
        ({**VIT, "resample": 0}, None, ""),  # the nearest pixel, which no operation here takes
        ({**VIT, "do_pad": True, "image_processor_type": "DetrImageProcessor"}, None, ""),
    ],
)
def test_the_transform_of_a_processor(tmp_path, document, img_size, evaluate):
    assert spec_of(tmp_path, document, img_size).evaluate == evaluate


def test_mean_and_deviation_are_those_of_pixels_between_0_and_1(tmp_path):
    means = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.25]}
    assert spec_of(tmp_path, {**VIT, **means}).mean == pytest.approx((0.1, 0.2, 0.3))
    scaled = spec_of(tmp_path, {**VIT, **means, "rescale_factor": 1 / 127.5})
    assert scaled.mean == pytest.approx((0.05, 0.1, 0.15))
    assert scaled.std == pytest.approx((0.25, 0.25, 0.125))
    assert spec_of(tmp_path, {**VIT, "do_normalize": False}).std == pytest.approx((1, 1, 1))


def test_a_processor_that_does_more_to_pixels_is_refused(tmp_path):
    mobilevit = {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}
    with pytest.raises(ConfigError, match="another order of colours"):
        spec_of(tmp_path, mobilevit)


def test_a_folder_without_a_processor_says_how_to_save_one(tmp_path):
    with pytest.raises(ConfigError, match=r"model x has no preprocessor_config\.json.*save_pretrained"):
        input_of_processor(tmp_path, None, "model x")
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "NoSuchProcessor"}')
    with pytest.raises(ConfigError, match="has a processor that transformers cannot make"):
        input_of_processor(tmp_path, None, "model x")


@pytest.mark.parametrize("backend", ["pil", "torchvision"])
@pytest.mark.parametrize("document", [BIT, DINOV3, VIT, CLIP, {**CONVNEXT, "size": {"shortest_edge": 224}}, DEIT])
def test_pixels_are_those_of_the_processor(tmp_path, document, backend):
    """Bit for bit those of the one on Pillow images; torchvision's own resizing rounds a pixel in two hundred otherwise."""
    from transformers import AutoImageProcessor

    spec = spec_of(tmp_path, document)
    with tiny_hf.quiet():
        processor = AutoImageProcessor.from_pretrained(tmp_path, backend=backend)
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(
        (500, 375), Image.Resampling.BICUBIC
    )
    picture = Image.fromarray((np.asarray(smooth) + rng.normal(0, 9, (375, 500, 3))).clip(0, 255).astype(np.uint8))
    theirs = processor(picture, return_tensors="np")["pixel_values"][0]
    pixels = Transform.parse(spec.evaluate).apply(picture, rng).transpose(2, 0, 1)
    levels = np.abs(pixels - 255 * (theirs * np.reshape(spec.std, (3, 1, 1)) + np.reshape(spec.mean, (3, 1, 1))))
    # DINOv3's resizes numbers, where all others resize pixels: ours are rounded, half a level from theirs.
    largest = 1.01 if document is DINOV3 else 0.01 if backend == "pil" else 2.01
    assert levels.max() < largest
    assert levels.mean() < (0.5 if document is DINOV3 else 0.01)
