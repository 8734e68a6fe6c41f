"""Which taps of transformers' models are recommended: blocks that stand in lists of other names than timm's."""

import pytest
import tiny_hf

from udta.backbones import build_backbone, list_taps, recommended_taps

pytest.importorskip("transformers", reason="needs the extra transformers")


@pytest.mark.parametrize(
    ("family", "taps"),
    [
        ("dinov3", "model.layer.1=grid(4),model.layer.2=grid(4),model.layer.3=grid(4),pooled"),
        ("siglip", "encoder.layers.1=grid(4),encoder.layers.2=grid(4),encoder.layers.3=grid(4),pooled"),
        ("swin", "encoder.layers.1.blocks.1.tokens,encoder.layers.2.blocks.1.tokens,pooled"),
        ("convnext", "encoder.stages.2=none,encoder.stages.3,pooled"),
    ],
)
def test_recommended_taps_by_family(family, taps, tmp_path):
    tiny_hf.save(family, tmp_path / family)
    assert recommended_taps(list_taps(build_backbone(f"hf:{tmp_path / family}"))) == taps
