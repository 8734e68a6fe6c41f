"""Models of timm for images of one channel or of five, with weights of three."""

import pytest
import torch
from timm_hub import saved

from udta.backbones import build_backbone
from udta.errors import BackboneError, ConfigError

timm = pytest.importorskip("timm", reason="needs the extra timm")


@pytest.fixture(scope="module")
def rgb(tmp_path_factory):
    """A model of three channels, and the file of its weights."""
    module, folder = saved(tmp_path_factory.mktemp("vit"), "test_vit")
    return module, folder / "model.safetensors"


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_weights_of_three_channels_become_those_that_timm_makes(rgb, channels):
    found = build_backbone(f"test_vit?in_chans={channels}", str(rgb[1])).module
    state = {"pretrained_cfg_overlay": {"file": str(rgb[1])}, "pretrained": True}
    expected = timm.create_model("test_vit", in_chans=channels, **state).state_dict()
    assert all(torch.equal(values, expected[name]) for name, values in found.state_dict().items())
    assert found.patch_embed.proj.weight.shape[1] == channels


def test_one_channel_gives_what_the_same_grey_image_in_three_gives(rgb):
    """Of one mean and one deviation for all channels, as this model has them, the sum of weights is the same network."""
    one, three = build_backbone("test_vit?in_chans=1", str(rgb[1])), build_backbone("test_vit", str(rgb[1]))
    assert len(set(three.input.mean)) == len(set(three.input.std)) == 1
    grey = torch.rand(2, 1, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(one.module(grey), three.module(grey.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("channels", "mean"), [(1, (0.449,)), (3, (0.485, 0.456, 0.406)), (5, (0.449,) * 5)])
def test_of_other_channels_each_has_the_average(channels, mean):
    found = build_backbone(f"timm:resnet10t?in_chans={channels}").input
    assert found.mean == pytest.approx(mean, abs=1e-6)
    assert found.channels == len(found.std) == channels


def test_a_folder_says_how_many_channels_its_model_takes(tmp_path):
    folder = saved(tmp_path, "test_vit", in_chans=2)[1]
    assert build_backbone(f"local-dir:{folder}").input.channels == 2


@pytest.mark.parametrize("channels", ["0", "grey"])
def test_no_number_of_channels_is_an_error_of_building(channels):
    with pytest.raises((BackboneError, ConfigError), match="test_vit"):
        build_backbone(f"test_vit?in_chans={channels}")
