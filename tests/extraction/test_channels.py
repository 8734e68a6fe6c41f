"""Images of one channel or of five, and those of more than eight bits, on their way into a store."""

import numpy as np
import pytest
import tifffile
import torch
from dicom_files import dicom
from PIL import Image
from toy import channels_net

import udta
from udta.backbones import Backbone, InputSpec, build_backbone
from udta.errors import BackboneError, ConfigError, ImageError, StaleStoreError
from udta.images import PixelSpec, Window, decode_image

OPTIONS = {"taps": "stage1=grid(4),stage2=avg", "compute": "float32", "dtype": "float32"}
CT = np.arange(-1024, 3072, 16, dtype=np.int16).reshape(16, 16)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Multispectral TIFF, deep grey TIFF, grey PNG and CT, all of 16 x 16 pixels, which is what the backbone takes."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for kind in ("five", "deep", "grey", "ct"):
        for name in ("field", "forest"):
            (root / kind / name).mkdir(parents=True)
    for name in ("field", "forest"):
        for number in range(4):
            stem = f"{name}/{number}"
            five = rng.integers(0, 10_000, (16, 16, 5), dtype=np.uint16)
            tifffile.imwrite(root / "five" / f"{stem}.tif", five, photometric="minisblack", planarconfig="contig")
            tifffile.imwrite(root / "deep" / f"{stem}.tif", five[..., 0])
            Image.fromarray((five[..., 0] // 40).astype(np.uint8)).save(root / "grey" / f"{stem}.png")
            (root / "ct" / f"{stem}.dcm").write_bytes(dicom(CT + number + 4 * (name == "forest")))
    return root


@pytest.mark.parametrize(
    ("kind", "channels", "window"),
    [("five", 5, "0:10000"), ("five", 5, "auto"), ("deep", 1, "0:10000"), ("grey", 1, "auto"), ("ct", 1, "-160:240")],
)
def test_what_is_stored_is_what_the_plain_module_gives(images, tmp_path, kind, channels, window):
    backbone = f"toy:channels_net?channels={channels}"
    udta.extract(images / kind, backbone=backbone, window=window, out=tmp_path / "s", **OPTIONS)
    store, features = udta.open_store(tmp_path / "s"), {}
    module = build_backbone(backbone).module
    module.stage2.register_forward_hook(lambda _m, _i, output: features.update(stage2=output.mean((2, 3))))
    mean, std = (torch.tensor(module.input_spec[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    for row in (0, 7):
        pixels = decode_image(images / kind / store.ids[row], "a", PixelSpec(channels, Window.parse(window)))
        with torch.no_grad():
            module((torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 - mean) / std)
        np.testing.assert_allclose(store.read([row])["stage2"][0], features["stage2"], rtol=1e-4, atol=1e-5)


def test_augmented_views_cut_every_channel_alike_and_leave_colours_out(images, tmp_path):
    udta.extract(images / "five", backbone="toy:channels_net?channels=5", views=3, out=tmp_path / "s", **OPTIONS)
    store = udta.open_store(tmp_path / "s")
    assert store.fingerprint.text("views", "augment") == "random_resized_crop(16,scale=0.35..1)|flip"
    assert store.n_views == 3
    backbone = "toy:channels_net?channels=5"
    report = udta.recompute(tmp_path / "s", samples=2, images=images / "five", backbone=backbone)
    assert max(report.deviation.values()) < 1e-5


def test_grey_images_of_three_channels_are_replicated_as_ever(images, tmp_path):
    udta.extract(images / "grey", backbone="toy:net", out=tmp_path / "s", **OPTIONS)
    assert "window" not in udta.open_store(tmp_path / "s").fingerprint.fields["input"]


def test_the_window_decides_the_features(images, tmp_path):
    """Of the file's own window nothing is said: stores of before there was another have the same fingerprint."""
    common = {"backbone": "toy:channels_net?channels=1", "out": tmp_path / "s", **OPTIONS}
    udta.extract(images / "deep", window="0:1e4", **common)
    assert udta.open_store(tmp_path / "s").fingerprint.fields["input"]["window"] == "0:10000"
    assert udta.extract(images / "deep", window="0.0:10000", **common).computed_rows == 0
    with pytest.raises(StaleStoreError, match='input/window: stored "0:10000", asked "nothing"'):
        udta.extract(images / "deep", **common)


def test_an_adapter_sees_new_images_by_the_same_window(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = {"backbone": "toy:channels_net?channels=1", **OPTIONS}
    udta.extract(images / "ct", window="-160:240", out="s", **common)
    udta.train("s", out="run", adapter="linear", recipe={"epochs": 1})
    seen = []
    window = Window.eight_bits
    monkeypatch.setattr(Window, "eight_bits", lambda self, *args: seen.append(str(self)) or window(self, *args))
    udta.predict(images / "ct", adapters=["run"], backbone=common["backbone"], out="p.csv")
    assert set(seen) == {"-160:240"}


def test_backbones_of_other_channels_and_windows_share_one_reading(images, tmp_path):
    """Of a DICOM that one takes in grey and the other in three channels, by windows of their own."""
    stores = [
        {"backbone": "toy:channels_net?channels=1", "window": "-160:240", "out": tmp_path / "one"},
        {"backbone": "toy:net", "window": "minmax", "out": tmp_path / "three"},
    ]
    stores = [{**OPTIONS, **store} for store in stores]
    udta.extract_many(images / "ct", stores)
    for store in stores:
        alone = tmp_path / f"{store['out'].name}-alone"
        udta.extract(images / "ct", **{**store, "out": alone})
        together, single = (udta.open_store(path).read([0, 5])["stage2"] for path in (store["out"], alone))
        np.testing.assert_array_equal(together, single)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"augment": "random_resized_crop(16)|jitter(0.2)"},
            r"jitter\(0.2\) is of colours, but the backbone takes one channel",
        ),
        ({"transform": "resize(16,16)|grey"}, "grey is of colours, but the backbone takes one channel"),
        ({"window": "bone"}, "window is 'bone': give auto, minmax, or the values of black and white as LOW:HIGH"),
    ],
)
def test_mistakes_are_told_before_an_image_is_decoded(images, tmp_path, options, problem):
    with pytest.raises(ConfigError, match=problem):
        udta.extract(images / "five", backbone="toy:channels_net?channels=1", out=tmp_path / "s", **OPTIONS, **options)


def test_other_channels_than_the_backbones_are_refused_or_skipped(images, tmp_path):
    common = {"backbone": "toy:net", "out": tmp_path / "s", **OPTIONS}
    with pytest.raises(ImageError, match="has 5 channels, but the backbone takes 3"):
        udta.extract(images / "five", **common)


def test_a_backbone_whose_input_spec_is_of_other_channels_says_so(images, tmp_path):
    module = channels_net(5).eval().requires_grad_(False)
    three = Backbone(module, "mine:net", InputSpec("resize(16,16)"))
    with pytest.raises(BackboneError, match=r"3 channel\(s\), as many as its input_spec has means"):
        udta.extract(images / "five", backbone=three, out=tmp_path / "s", **OPTIONS)
