"""A program without udta says what its adapters say; one that says something else is never written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import udta
from udta.adapters import ADAPTERS
from udta.deployment import _agreement, _runtimes
from udta.deployment._photographs import photographs
from udta.errors import AdapterError, BackboneError, ConfigError, DataError

TOY = {"backbone": "toy:net"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_store):
    folder = tmp_path_factory.mktemp("runs")
    udta.train(toy_store, out=folder / "udta", adapter="udta", recipe={"epochs": 2})
    return folder


def said_by(run, photos):
    files = sorted(photos.rglob("*.png"))[:5]
    predictor = udta.Predictor(run, **TOY)
    return predictor.pixels(files)[:, 0], predictor(files)[str(run)].values


def test_a_torch_program_says_what_predict_says_and_is_without_the_head(runs, photos, tmp_path, udta_command):
    out = tmp_path / "new" / "toy.pt2"
    status, printed, _ = udta_command(
        "export-model", runs / "udta", "--to", "torch", "--out", out, "--backbone", "toy:net", "--json"
    )
    assert status == 0
    report = json.loads(printed)
    extra = {"udta": ""}
    loaded = torch.export.load(out, extra_files=extra)
    assert json.loads(extra["udta"]) == report["description"]
    assert not [name for name in loaded.state_dict if "head" in name]
    pixels, expected = said_by(runs / "udta", photos)
    for part in (slice(0, 1), slice(0, 5)):
        found = loaded.module()(torch.from_numpy(pixels[part]))
        np.testing.assert_allclose(
            found["udta"].detach().numpy(), expected[part], atol=0.02
        )  # bfloat16, where predict has it
    said = report["description"]
    assert said["input"]["shape"] == ["batch", 16, 16, 3]
    assert said["input"]["transform"] == "resize(16,16)"
    assert said["outputs"][0]["classes"] == ["bird", "cat", "dog"]
    assert said["check"] == report["check"]
    assert report["check"]["images"] == 16
    assert report["check"]["where"] == str(photos)
    assert report["check"]["eager"]["udta"]["largest"] < 1e-4


def test_a_program_that_says_something_else_is_not_written(runs, tmp_path, monkeypatch):
    class Lies(_runtimes.Torch):
        def __init__(self, program, size):
            self.content = lambda description: b"program"

        @staticmethod
        def run(content, images):
            return {"udta": np.full((len(images), 3), 1 / 3, np.float32)}

    monkeypatch.setitem(_runtimes.FORMATS, "torch", Lies)
    with pytest.raises(
        AdapterError, match=r"else than PyTorch on 16 image\(s\).*so it is not written:\n  udta: differs by 0"
    ):
        udta.export_model(runs / "udta", to="torch", out=tmp_path / "toy.pt2", **TOY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "onx", "out": "m.onnx"}, "did you mean 'onnx'"),
        ({"to": "torch", "out": "m.onnx"}, "ends in .pt2"),
    ],
)
def test_wrong_formats_are_named(runs, options, message):
    with pytest.raises(ConfigError, match=message):
        udta.export_model(runs / "udta", **options, **TOY)


def test_what_is_missing_is_said_before_any_work(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(_runtimes, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(ConfigError, match=r"needs onnxruntime: pip install 'udta\[onnx\]'"):
        udta.export_model(runs / "nothing", to="onnx", out=tmp_path / "m.onnx")


def test_a_backbone_that_cannot_be_followed_is_named():
    class Deciding(torch.nn.Module):
        def forward(self, images):
            return images if images.float().sum() > 0 else -images

    with pytest.raises(BackboneError, match=r"torch.export cannot make a program of this backbone.*\("):
        _runtimes._traced(Deciding(), (4, 4, 3))


def test_nearly_equal_classes_may_change_places():
    expected = np.array([[0.4000, 0.4001, 0.1999], [0.1, 0.2, 0.7]], np.float32)
    found = expected + np.array([[2e-4, 0, 0], [0, 0, 0]], np.float32)
    assert _agreement._difference(found, expected, np.ones(3, np.float32)).same_top1 == 1
    found = expected[:, [1, 2, 0]]  # of the first one of two that are alike, of the second another
    assert _agreement._difference(found, expected, np.ones(3, np.float32)).same_top1 == 0.5


def test_photographs_come_from_all_over_a_folder(tmp_path, photos):
    found, where = photographs(photos, {}, 3)
    assert len(found) == 16
    assert {path.parent.name for path in found} == {"bird", "cat", "dog"}
    assert where == str(photos)
    made, where = photographs(None, {}, 1)
    assert (len(made), made[0].shape, where[:7]) == (16, (256, 320), "made up")
    with pytest.raises(DataError, match="there is no image"):
        photographs(tmp_path, {}, 3)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_every_adapter(runs, toy_store, photos, tmp_path, to):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    paths = []
    for name, kind in ADAPTERS.items():
        paths.append(tmp_path / name)
        udta.train(toy_store, out=paths[-1], adapter=name, recipe={} if kind.closed_form else {"epochs": 1})
    out = tmp_path / f"all{_runtimes.FORMATS[to].suffix}"
    report = udta.export_model(paths, to=to, out=out, images=photos, **TOY)
    assert list(report.outputs) == list(ADAPTERS)
    for path in paths:
        pixels, _ = said_by(path, photos)
        found = _runtimes.FORMATS[to].run(out.read_bytes(), pixels)[path.name]
        assert found.shape == (5, 3)
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_other_tasks(toy_store, photos, tmp_path, task):
    labels = "red;round" if task == "multilabel" else "3.5"
    rows = [
        f"{path},{labels if number % 2 else labels[:3]}" for number, path in enumerate(udta.open_store(toy_store).ids)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    udta.train(toy_store, out=tmp_path / "run", adapter="ridge", labels=tmp_path / "labels.csv", task=task)
    report = udta.export_model(tmp_path / "run", to="torch", out=tmp_path / "m.pt2", **TOY)
    pixels, expected = said_by(tmp_path / "run", photos)
    found = _runtimes.Torch.run((tmp_path / "m.pt2").read_bytes(), pixels)["run"]
    np.testing.assert_allclose(found, expected, atol=0.05)
    [output] = report.description["outputs"]
    assert output["task"] == task
    assert ("thresholds" in output) == (task == "multilabel")


@pytest.mark.slow
def test_a_torch_program_opens_without_udta(runs, tmp_path):
    udta.export_model(runs / "udta", to="torch", out=tmp_path / "toy.pt2", **TOY)
    code = f"""
import sys
from pathlib import Path
sys.modules["udta"] = None
import torch
program = torch.export.load({str(tmp_path / "toy.pt2")!r}).module()
print(program(torch.zeros(3, 16, 16, 3, dtype=torch.uint8))["udta"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "torch.Size([3, 3])" in done.stdout


@pytest.mark.slow
def test_the_script_of_the_page_needs_no_torch(photos, tmp_path):
    """onnxruntime, NumPy and Pillow, with the transform done by hand, say what udta says."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    page = (Path(__file__).parent.parent.parent / "docs" / "export-model.md").read_text()
    [script] = re.findall(r"```python\n(# classify.py\n.*?)```", page, re.S)
    udta.extract(photos, backbone="resnet18", taps="layer4", out=tmp_path / "s.zarr")
    udta.train(tmp_path / "s.zarr", out=tmp_path / "run", adapter="ridge")
    udta.export_model(tmp_path / "run", to="onnx", out=tmp_path / "m.onnx")
    image = photos / "cat" / "000.png"
    arguments = ["classify.py", str(tmp_path / "m.onnx"), str(image)]
    blocked = f"import sys\nsys.modules.update(dict.fromkeys(['torch', 'udta']))\nsys.argv = {arguments}\n"
    done = subprocess.run([sys.executable, "-c", blocked + script], capture_output=True, text=True, check=True)
    [[(label, probability)]] = udta.Predictor(tmp_path / "run")(image)[str(tmp_path / "run")].top(1)
    name, said, percent = done.stdout.split()
    assert (name, said) == ("run:", label)
    assert float(percent.rstrip("%")) / 100 == pytest.approx(probability, abs=0.02)
