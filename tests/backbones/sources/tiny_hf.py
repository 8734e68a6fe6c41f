"""Tiny random models of the families of transformers, saved as people have them: weights, configuration and image processor."""

import json
from pathlib import Path

import torch

from udta.backbones.sources._hf_trunk import quiet

SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
_VIT = {**SMALL, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
_DINO = {**SMALL, "image_size": 28, "patch_size": 7}
_TEXT = {**SMALL, "intermediate_size": 64, "vocab_size": 9, "max_position_embeddings": 8}
_TEXT |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_CONVNEXT = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
_SWIN = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 2, 2],
    "num_heads": [1, 2, 2],
    "window_size": 4,
}
_TOWERS = {"text_config": _TEXT, "vision_config": _VIT}

# Family: the class that is saved, its configuration, the options of that.
FAMILIES = {
    "dinov2": ("Dinov2Model", "Dinov2Config", _DINO),
    "dinov2_registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**_DINO, "num_register_tokens": 4}),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**_VIT, "num_register_tokens": 4}),
    "dinov3_convnext": ("DINOv3ConvNextModel", "DINOv3ConvNextConfig", {**_CONVNEXT, "image_size": 64}),
    "siglip": ("SiglipModel", "SiglipConfig", _TOWERS),
    "clip": ("CLIPModel", "CLIPConfig", {**_TOWERS, "projection_dim": 16}),
    "vit": ("ViTModel", "ViTConfig", _VIT),
    "vit_classifier": ("ViTForImageClassification", "ViTConfig", {**_VIT, "num_labels": 5}),
    "deit": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", _VIT),
    "beit": ("BeitForImageClassification", "BeitConfig", {**_VIT, "use_relative_position_bias": True}),
    "swin": ("SwinForImageClassification", "SwinConfig", _SWIN),
    "swinv2": ("Swinv2Model", "Swinv2Config", _SWIN),
    "convnext": ("ConvNextForImageClassification", "ConvNextConfig", {**_CONVNEXT, "image_size": 64}),
    "convnextv2": ("ConvNextV2Model", "ConvNextV2Config", {**_CONVNEXT, "image_size": 64}),
}
# As the published repositories of each have them, smaller.
_SHORTEST = {
    "size": {"shortest_edge": 36},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
}
_SQUASHED = {"size": {"height": 32, "width": 32}, "resample": 2}
_LARGER = {"size": {"shortest_edge": 64}, "crop_pct": 0.875, "resample": 3}
PROCESSORS = {
    "dinov2": ("BitImageProcessor", {**_SHORTEST, "crop_size": {"height": 28, "width": 28}}),
    "dinov2_registers": ("BitImageProcessor", {**_SHORTEST, "crop_size": {"height": 28, "width": 28}}),
    "dinov3": ("DINOv3ViTImageProcessor", _SQUASHED),
    "dinov3_convnext": ("DINOv3ViTImageProcessor", {"size": {"height": 64, "width": 64}, "resample": 2}),
    "siglip": ("SiglipImageProcessor", {**_SQUASHED, "resample": 3}),
    "clip": ("CLIPImageProcessor", _SHORTEST),
    "deit": ("DeiTImageProcessor", {**_SHORTEST, "size": {"height": 40, "width": 40}}),
    "beit": ("BeitImageProcessor", {**_SQUASHED, "do_center_crop": False}),
    "swin": ("ViTImageProcessor", {"size": {"height": 64, "width": 64}, "resample": 3}),
    "swinv2": ("ViTImageProcessor", {"size": {"height": 64, "width": 64}, "resample": 3}),
    "convnext": ("ConvNextImageProcessor", _LARGER),
    "convnextv2": ("ConvNextImageProcessor", _LARGER),
}
_OLD_VIT = ("ViTImageProcessor", _SQUASHED)


def save(family, folder, *, seed=0, **saving):
    """A model of the family in a folder; the model."""
    import transformers

    model_name, config_name, options = FAMILIES[family]
    folder = Path(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, model_name)(getattr(transformers, config_name)(**options)).eval()
        # Some are zero at first, such as biases and class tokens: a weight that is lost would not be missed.
        for tensor in model.parameters():
            torch.nn.init.normal_(tensor, std=0.2)
    with quiet():
        model.save_pretrained(folder, **saving)
    save_processor(family, folder)
    return model


def save_processor(family, folder):
    """Its `preprocessor_config.json`."""
    kind, options = PROCESSORS.get(family, _OLD_VIT)
    document = {"image_processor_type": kind, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], **options}
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(document))
