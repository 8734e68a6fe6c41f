"""What a backbone is called and what a factory may hand over: one spelling, checked input, refusals that help."""

import hashlib
import random
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn
from toy import ToyNet

from udta.backbones import Backbone, InputSpec, TapForward, build_backbone, list_taps, parse_taps, resolve_taps
from udta.errors import BackboneError, ConfigError, WeightsError

CPU = torch.device("cpu")


def frozen(module, size=16):
    return Backbone(module.eval().requires_grad_(False), "test", InputSpec(f"resize({size},{size})"))


def module_file(folder, monkeypatch, name, text):
    """A module in the current folder, where a user has it."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(folder)
    return f"{name}:net"


def test_spellings_of_one_call_are_one_factory():
    specs = ("toy:net?width=5&nan=false", "toy:net?nan=False&width=5", "toy:net?nan=false&width=%35")
    backbones = [build_backbone(spec) for spec in specs]
    assert {backbone.factory for backbone in backbones} == {"toy:net?nan=false&width=5"}
    assert not any(backbone.module.nan for backbone in backbones)  # the text "False" would be true


def test_identity_does_not_depend_on_where_the_weights_lie(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        torch.save(ToyNet().state_dict() | {"head.bias": torch.ones(4)}, tmp_path / name / "w.pth")
    torch.save(torch.load(tmp_path / "a/w.pth", weights_only=True), tmp_path / "b/w.pth")
    a, b = (build_backbone("toy:net", str(tmp_path / name / "w.pth")) for name in ("a", "b"))
    assert a.fingerprint_fields() == b.fingerprint_fields()
    assert a.source["weights"] != b.source["weights"]
    assert str(tmp_path) not in str(a.fingerprint_fields())


def test_a_factory_in_the_current_folder(tmp_path, monkeypatch):
    spec = module_file(tmp_path, monkeypatch, "own_net", "import torch\ndef net(): return torch.nn.Conv2d(3, 2, 1)\n")
    assert isinstance(build_backbone(spec).module, nn.Conv2d)


def test_a_module_that_fails_on_import_is_named(tmp_path, monkeypatch):
    with pytest.raises(BackboneError, match=r"importing 'broken_net' fails .SyntaxError"):
        build_backbone(module_file(tmp_path, monkeypatch, "broken_net", "def net(:\n"))


@pytest.mark.parametrize(
    "declared",
    [
        "{}",
        "{'evaluate': 'resize(8,8)', 'mean': [0.5], 'std': [1, 1, 1]}",
        "{'evaluate': 'resize(8,8)', 'mean': [0, 0, 0], 'std': [1, 0, 1]}",
        "{'evaluate': 'resize(8,8)', 'mean': 0, 'std': 1}",
    ],
)
def test_an_input_spec_that_is_wrong_shows_a_right_one(tmp_path, monkeypatch, declared):
    name = f"spec_{hashlib.sha256(declared.encode()).hexdigest()[:8]}"  # a module is imported once a name
    text = f"import torch\ndef net():\n    m = torch.nn.Conv2d(3, 2, 1)\n    m.input_spec = {declared}\n    return m\n"
    with pytest.raises(BackboneError, match=r"must be like .'evaluate'"):
        build_backbone(module_file(tmp_path, monkeypatch, name, text))


def test_a_misspelt_weight_enum_gets_the_nearest_ones():
    with pytest.raises(WeightsError, match="did you mean 'IMAGENET1K_V1'"):
        build_backbone("resnet18", "IMAGENET1K_V11")


def test_a_weight_enum_brings_its_input_and_what_its_builder_sets(monkeypatch):
    state = torchvision.models.googlenet(weights=None, init_weights=False).state_dict()
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", lambda *_, **__: state)
    backbone = build_backbone("googlenet", "IMAGENET1K_V1")
    assert backbone.module.transform_input  # these weights want another normalisation, applied inside
    assert backbone.input.evaluate == "resize(256)|centre_crop(224)"


def test_weights_that_cannot_be_downloaded_say_where_they_are(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", offline)
    with pytest.raises(WeightsError, match=r"cannot be downloaded .*no route.*https://.*resnet18.*give the file"):
        build_backbone("resnet18", "IMAGENET1K_V1")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_weights_load_or_are_refused_and_never_crash(tmp_path, zipped):
    path, draw = tmp_path / "w.pth", random.Random(0)
    torch.save(ToyNet(2).state_dict(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            build_backbone("toy:net?width=2", str(path))
        except WeightsError:
            continue


def test_a_name_that_begins_like_a_wrapper_is_kept(tmp_path, monkeypatch):
    spec = module_file(
        tmp_path,
        monkeypatch,
        "wrapped_net",
        "import torch\ndef net(): return torch.nn.ModuleDict({'module': torch.nn.Conv2d(3, 2, 1)})\n",
    )
    torch.save(build_backbone(spec, seed=5).module.state_dict(), tmp_path / "w.pth")
    assert build_backbone(spec, str(tmp_path / "w.pth")).weights == build_backbone(spec, seed=5).weights


def test_state_that_is_no_tensor_has_no_identity():
    class Packed(nn.Conv2d):
        def get_extra_state(self):
            return (1, 2)

    with pytest.raises(BackboneError, match="_extra_state as tuple"):
        _ = Backbone(Packed(3, 2, 1), "test").weights


class Windows(ToyNet):
    """Cuts the map into four windows, each a row of what `inner` gives."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, pixels):
        windows = pixels.unflatten(2, (2, 8)).unflatten(4, (2, 8)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        return super().forward(pixels + self.inner(windows).mean())


def test_a_module_with_several_rows_for_an_image_is_no_tap():
    backbone = frozen(Windows())
    with pytest.raises(ConfigError, match="8 rows for 2 images"):
        resolve_taps(backbone, parse_taps("inner=avg"), "float16")
    assert "inner" not in {tap.name for tap in list_taps(backbone)}


def test_a_backbone_without_modules_has_no_taps():
    assert list_taps(frozen(nn.Flatten())) == []


def test_a_backbone_that_catches_exceptions_still_stops_at_the_last_tap():
    class Careful(ToyNet):
        def forward(self, pixels):
            try:
                return super().forward(pixels)
            except Exception:
                return pixels

    backbone = frozen(Careful())
    specs = resolve_taps(backbone, parse_taps("stage1=avg"), "float32")
    pixels = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    assert TapForward(backbone, specs, "float32", CPU)(pixels)["stage1"].shape == (2, 8)


@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
def test_transformers_run_in_reduced_precision(compute):
    torch.manual_seed(0)
    vit = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32)
    swin = torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4])
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for module, tap in ((vit, "encoder.layers.encoder_layer_1=cls"), (swin, "features.3=avg")):
        backbone = frozen(module, 32)
        specs = resolve_taps(backbone, parse_taps(tap), "float32")
        full, reduced = (TapForward(backbone, specs, each, CPU)(pixels)[specs[0].name] for each in ("float32", compute))
        assert (full - reduced).norm() / full.norm() < 3e-2
