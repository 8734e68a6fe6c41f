"""Recorded passes give the bits of those that are launched."""

import pytest
import torch
from torch import nn

from udta.backbones import Backbone, Replay, TapForward, build_backbone, parse_taps, resolve_taps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def images(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


def on_a_stream(work):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        result = work()
    stream.synchronize()
    return result


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vit_b_16", "swin_v2_t"])
def test_every_batch_has_the_bits_of_a_pass_that_is_launched(name):
    backbone = build_backbone(name, evaluate=None if name == "vit_b_16" else "resize(64,64)")
    taps = {
        "resnet18": "layer3,layer4=avg",
        "mobilenet_v2": "features.13,features.18=avg",
        "vit_b_16": "encoder.layers.encoder_layer_5=cls",
        "swin_v2_t": "features.3=avg,features.7=avg",
    }[name]
    side = 224 if name == "vit_b_16" else 64
    forward = TapForward(
        backbone, resolve_taps(backbone, parse_taps(taps), "float16"), "bfloat16", torch.device("cuda")
    )
    replay = Replay(forward, 8)
    for number, count in enumerate((8, 8, 3, 8)):
        batch = nn.functional.interpolate(images(count, number), (side, side))
        expected = {tap: values.clone() for tap, values in on_a_stream(lambda batch=batch: forward(batch)).items()}
        found = on_a_stream(lambda batch=batch: replay(batch))
        assert found.keys() == expected.keys()
        for tap, values in expected.items():
            assert torch.equal(found[tap], values)
    assert replay.recorded


class Looks(nn.Module):
    """It decides by a value, which no recording can."""

    def __init__(self):
        super().__init__()
        self.stage = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.stage(x if x.mean().item() > 0 else -x)


def test_what_cannot_be_recorded_runs_as_it_is():
    backbone = Backbone(Looks().eval().requires_grad_(False), "looks")
    specs = resolve_taps(backbone, parse_taps("stage=avg"), "float32")
    forward = TapForward(backbone, specs, "float32", torch.device("cuda"))
    replay = Replay(forward, 4)
    for number in range(3):
        batch = images(4, number)
        expected = on_a_stream(lambda batch=batch: forward(batch))
        assert torch.equal(on_a_stream(lambda batch=batch: replay(batch))["stage"], expected["stage"])
    assert not replay.recorded
