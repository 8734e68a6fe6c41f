"""Extraction: what is stored is what the backbone gives, once, and whatever interrupts it."""

import numpy as np
import pytest
import torch
from PIL import Image
from toy import ToyNet, photographs

import udta
from udta.backbones import build_backbone
from udta.errors import BackboneError, ConfigError, DataError, FeatureError, ImageError, StaleStoreError
from udta.images import decode_image

OPTIONS = {
    "backbone": "toy:net",
    "taps": "stage1=grid(4),stage2=avg",
    "views": 2,
    "compute": "float32",
    "dtype": "float32",
}


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 16 rows (the least), so that 24 images make two."""
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 16)


def contents(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_view_zero_is_what_the_plain_module_gives(photos, tmp_path):
    udta.extract(photos, out=tmp_path / "s", **OPTIONS)
    store = udta.open_store(tmp_path / "s")
    module = build_backbone("toy:net").module
    features = {}
    module.stage1.register_forward_hook(lambda _m, _i, output: features.update(stage1=output.clone()))
    module.stage2.register_forward_hook(lambda _m, _i, output: features.update(stage2=output.clone()))
    for row in (0, 11, 23):
        image = decode_image(photos / store.ids[row], "x")
        pixels = np.array(Image.fromarray(image).resize((16, 16), Image.Resampling.BILINEAR))
        with torch.no_grad():
            module(((torch.from_numpy(pixels).permute(2, 0, 1) / 255 - 0.5) / 0.5)[None])
        stored = store.read([row], views=[0])
        expected = torch.nn.functional.adaptive_avg_pool2d(features["stage1"], 4)[0]
        np.testing.assert_allclose(stored["stage1"][0, 0], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stored["stage2"][0, 0], features["stage2"].mean((2, 3))[0], rtol=1e-4, atol=1e-5)


def test_rows_labels_and_views_are_in_order(photos, toy_store):
    store = udta.open_store(toy_store)
    assert store.ids.tolist() == sorted(store.ids)
    assert [store.classes[label] for label in store.labels] == [name.split("/")[0] for name in store.ids]
    values = store.read([3])["stage2"][0]
    assert not np.array_equal(values[0], values[1])  # view 1 is augmented


def test_an_interrupted_extraction_continues_and_equals_an_uninterrupted_one(photos, tmp_path, small_blocks):
    class InterruptedTestError(Exception):
        pass

    def stop(what, done, total, note):
        if done > 16:
            raise InterruptedTestError

    udta.extract(photos, out=tmp_path / "whole", **OPTIONS)
    with pytest.raises(InterruptedTestError):
        udta.extract(photos, out=tmp_path / "parts", progress=stop, **OPTIONS)
    assert udta.open_store(tmp_path / "parts").n_committed == 16
    report = udta.extract(photos, out=tmp_path / "parts", **OPTIONS)
    assert (report.computed_rows, report.rows) == (8, 24)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert udta.extract(photos, out=tmp_path / "parts", **OPTIONS).computed_rows == 0


def test_a_bad_image_changes_no_other_row(tmp_path, small_blocks):
    good, bad = photographs(tmp_path / "good"), photographs(tmp_path / "bad")
    (bad / "cat" / "003.png").write_bytes(b"this is text")
    udta.extract(good, out=tmp_path / "a", **OPTIONS)
    with pytest.raises(ImageError, match=r"cat/003\.png"):
        udta.extract(bad, out=tmp_path / "b", **OPTIONS)
    assert not (tmp_path / "b").exists()  # the bad image was in the first block: nothing half-written
    report = udta.extract(bad, out=tmp_path / "b", on_error="skip", **OPTIONS)
    assert list(report.skipped) == ["cat/003.png"]
    a, b = udta.open_store(tmp_path / "a"), udta.open_store(tmp_path / "b")
    rows = b.rows()
    assert len(rows) == 23
    for tap, values in b.read(rows).items():
        np.testing.assert_array_equal(values, a.read(rows)[tap])


def test_augmented_views_do_not_depend_on_what_else_is_extracted(photos, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text(f"path,label\n{photos}/dog/005.png,dog\n{photos}/bird/001.png,bird\n")
    udta.extract(photos, out=tmp_path / "all", **OPTIONS)
    udta.extract(few, out=tmp_path / "few", **{**OPTIONS, "views": 3})
    everything, two = udta.open_store(tmp_path / "all"), udta.open_store(tmp_path / "few")
    row = everything.ids.tolist().index("dog/005.png")
    expected = everything.read([row])["stage2"][0]
    np.testing.assert_allclose(two.read([0])["stage2"][0, :2], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "views/seed"),
        ({"dtype": "float16"}, "dtype"),
        ({"compute": "bfloat16"}, "compute"),
        ({"backbone": "toy:net?width=9"}, "backbone/weights"),
        ({"transform": "resize(16)|centre_crop(16)"}, "input/evaluate"),
        ({"augment": "random_resized_crop(16)"}, "views/augment"),
    ],
)
def test_a_store_made_from_something_else_is_refused_with_the_field(photos, tmp_path, change, field):
    udta.extract(photos, out=tmp_path / "s", **OPTIONS)
    with pytest.raises(StaleStoreError) as caught:
        udta.extract(photos, out=tmp_path / "s", **{**OPTIONS, **change})
    assert any(line.startswith(f"{field}:") for line in caught.value.differences)


def test_a_stale_store_is_replaced_on_request(photos, tmp_path):
    udta.extract(photos, out=tmp_path / "s", **OPTIONS)
    report = udta.extract(photos, out=tmp_path / "s", **{**OPTIONS, "seed": 1}, if_stale="replace")
    udta.extract(photos, out=tmp_path / "fresh", **{**OPTIONS, "seed": 1})
    assert report.computed_rows == 24
    assert contents(tmp_path / "s") == contents(tmp_path / "fresh")


def test_what_cannot_change_a_value_does_not_make_a_store_stale(photos, tmp_path):
    udta.extract(photos, out=tmp_path / "s", **OPTIONS)
    moved = tmp_path / "elsewhere"
    moved.symlink_to(photos)
    assert udta.extract(moved, out=tmp_path / "s", on_error="skip", **OPTIONS).computed_rows == 0


def test_an_image_that_changes_during_the_work_is_noticed(tmp_path):
    from udta.images import read_images

    folder = photographs(tmp_path / "photos")
    manifest = read_images(folder)
    Image.new("RGB", (9, 9)).save(folder / "dog" / "000.png")
    with pytest.raises(DataError, match="changed after the manifest"):
        udta.extract(manifest, out=tmp_path / "s", **OPTIONS)
    assert not (tmp_path / "s").exists()


def test_nan_features_are_refused_and_nothing_is_left(tmp_path):
    folder = photographs(tmp_path / "photos")
    Image.new("RGB", (24, 20)).save(folder / "dog" / "002.png")
    with pytest.raises(FeatureError, match=r"dog/002\.png"):
        udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "backbone": "toy:net?nan=true", "views": 1})
    assert not (tmp_path / "s").exists()


def test_every_wrong_option_is_reported_at_once(photos, tmp_path):
    wrong = {
        "taps": "stage1=gird(4),stage1",
        "views": 0,
        "dtype": "float61",
        "device": "cdua",
        "transform": "resise(3)",
    }
    with pytest.raises(ConfigError) as caught:
        udta.extract(photos, out=tmp_path / "s", **{**OPTIONS, **wrong})
    text = str(caught.value)
    for expected in ("grid(n)", "listed 2 times", "views is 0", "float16", "cuda", "resize"):
        assert expected in text
    assert not (tmp_path / "s").exists()


def test_unknown_taps_come_with_the_nearest_names(photos, tmp_path):
    with pytest.raises(ConfigError, match=r"'stagge1'.*did you mean 'stage1'"):
        udta.extract(photos, out=tmp_path / "s", **{**OPTIONS, "taps": "stagge1,stage2"})
    assert not (tmp_path / "s").exists()


def test_a_backbone_that_is_not_frozen_is_refused(photos, tmp_path):
    backbone = udta.Backbone(ToyNet(), "toy")
    options = {name: value for name, value in OPTIONS.items() if name != "backbone"}
    with pytest.raises(BackboneError, match=r"training mode.*\.eval\(\).*trainable"):
        udta.extract(photos, out=tmp_path / "s", backbone=backbone, **options)


def test_the_backbone_is_byte_identical_after_extraction_and_training(photos, tmp_path):
    backbone = build_backbone("toy:net")
    before = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    options = {name: value for name, value in OPTIONS.items() if name != "backbone"}
    udta.extract(photos, out=tmp_path / "s", backbone=backbone, **options)
    udta.train(tmp_path / "s", out=tmp_path / "run", recipe={"epochs": 2})
    for name, tensor in backbone.module.state_dict().items():
        assert tensor.numpy().tobytes() == before[name].numpy().tobytes()
        assert not tensor.requires_grad
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in backbone.module.parameters())


def test_no_tensor_of_the_backbone_ever_requires_a_gradient(photos, tmp_path, monkeypatch):
    """Looks at every tensor that a module of the backbone sees or gives while features are extracted."""
    seen = []

    def watch(module, inputs, output):
        tensors = (*inputs, output, *module.parameters(recurse=False))
        seen.extend(tensor.requires_grad for tensor in tensors if type(tensor) is not torch.fx.Proxy)

    hook = torch.nn.modules.module.register_module_forward_hook(watch)
    try:
        udta.extract(photos, out=tmp_path / "s", **OPTIONS)
    finally:
        hook.remove()
    assert len(seen) > 50
    assert not any(seen)
