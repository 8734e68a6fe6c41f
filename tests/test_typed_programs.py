"""What a type checker makes of programs that use the package: it knows what comes back, and finds what is wrong."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow

RIGHT = """
import numpy as np
import udta

version: str = udta.__version__
report = udta.extract("photos", backbone="resnet18", out="photos.zarr", views=2, on_error="skip", progress=True)
rows: int = report.rows
plans: list[int] = [udta.plan("photos", backbone="resnet18", out=out).rows for out in ("a", "b")]
stores = udta.extract_many("photos", [{"taps": "layer4", "out": "c"}], backbone="resnet18", dtype="uint8")
seconds: float = stores[0].seconds
names: list[str] = [offer.backbone for offer in udta.backbones("resnet50").matches]
options: list[str] = [option.name for option in udta.adapters("udta").adapters[0].options]
taps: str = udta.taps("resnet18").recommended
store = udta.open_store("photos.zarr")
features: dict[str, np.ndarray] = store.read([0, 1])
run = udta.train(store, out="run", recipe={"epochs": 2}, progress=lambda what, done, total, note: print(what, done / total))
figures: dict[str, object] = udta.evaluate(run.run, store)
adapter = udta.load_adapter("run")
best: list[list[tuple[str, float]]] = adapter(features).top(1)
equal: bool = udta.diff("a", "b").equal
print(udta.info("run"), udta.verify("a").sound, udta.fewshot(store, out="few", shots=[1, None]).curve)
"""
# Line by line, what is wrong with it.
WRONG = {
    'udta.extract("photos", backbone="resnet18", out="a", vews=2)': "call-arg",
    'udta.plan("photos", backbone="resnet18", out="a", on_error="ignore")': "arg-type",
    'udta.extract_many("photos", [], tapz="layer4")': "call-arg",
    'udta.train("a", out="run", epochs=3)': "call-arg",
    "udta.backbones(3)": "arg-type",
    'udta.adapters("udta").adapters[0].recipes': "attr-defined",
    'udta.few_shot("a", out="few")': "attr-defined",
    'udta.load_adapter("run").predict("a")': "arg-type",
    'udta.verify("a", progress="yes")': "arg-type",
}


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Strict, as we are checked: lines of errors."""
    api = pytest.importorskip("mypy.api", reason="needs the extra dev")

    def run(text, monkeypatch):
        monkeypatch.chdir(ROOT)  # where its cache is: without one, torch and all of us are read first
        program = tmp_path_factory.mktemp("program") / "program.py"
        program.write_text(text)
        out, err, _ = api.run(["--config-file", "pyproject.toml", "--strict", str(program)])
        assert not err
        return [line for line in out.splitlines() if "program.py:" in line and ": error:" in line]

    return run


def test_a_right_program_passes_and_every_mistake_is_found(check, monkeypatch):
    wrong = "\n".join(["import udta", *WRONG])
    found = check(wrong, monkeypatch)
    lines = {int(re.search(r"program\.py:(\d+)", line)[1]): line for line in found}
    for number, (code, kind) in enumerate(WRONG.items(), start=2):
        assert f"[{kind}]" in lines.get(number, ""), code
    assert check(RIGHT, monkeypatch) == []
