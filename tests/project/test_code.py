"""Another version of udta is another result of `check`, for the stages that it matters to and no others."""

import shutil
from pathlib import Path

import pytest
import yaml

from udta.config import check_params
from udta.project import _code
from udta.project.init import TEMPLATE
from udta.project.stages import STAGES
from udta.project.stages.check_stage import check


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the sources."""
    copy = shutil.copytree(_code.PACKAGE, tmp_path / "udta", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_code, "PACKAGE", copy)
    return copy


def changed(package, file, text="# another version\n"):
    before = {stage: _code.code_of(stage) for stage in STAGES if stage != "check"}
    (package / file).parent.mkdir(exist_ok=True)
    with (package / file).open("a") as out:
        out.write(text)
    return {stage for stage, code in before.items() if _code.code_of(stage) != code}


def test_code_that_decides_a_result_is_seen_by_the_stages_that_it_decides(package):
    assert changed(package, "training/loop.py") == {"train"}
    assert changed(package, "images/_size.py") == {"prepare", "train", "evaluate", "report"}
    assert changed(package, "reporting/_table.py") == changed(package, "reporting/page.css") == {"report"}
    assert changed(package, "adapters/new_family.py") == {"train", "evaluate", "report"}
    for nothing in ("cli/train.py", "_console/display.py", "images/__pycache__/_read.cpython-399.pyc"):
        assert changed(package, nothing) == set()


def test_every_stage_depends_on_its_line(monkeypatch):
    """And `check` writes a file for every dependency of the template that is its own."""
    monkeypatch.setattr(_code, "FEATURE_VERSION", 99)
    assert _code.code_of("extract") == "FEATURE_VERSION 99\n"
    stages = yaml.safe_load((TEMPLATE / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        if name != "check":
            assert f"${{paths.out}}/checked/code/{name}.txt" in stage.get("do", stage)["deps"]


def test_check_writes_what_others_depend_on(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("# a factory\n")
    Path("w.pth").touch()
    params = check_params(
        {
            "run": {"backbones": ["b"], "datasets": ["d"], "adapters": ["a"]},
            "paths": {"out": "out", "stores": "stores"},
            "backbones": {"b": {"backbone": "mine:network", "weights": "w.pth"}},
            "datasets": {"d": {"images": str(photos), "labels": "l.csv"}},
            "adapters": {"a": {"adapter": "linear"}},
        },
        Path("params.yaml"),
    )

    def written():
        check(params)
        return {path.relative_to("out/checked").as_posix(): path.read_text() for path in Path("out").rglob("*.txt")}

    before = written()
    stages = yaml.safe_load((TEMPLATE / "dvc.yaml").read_text())["stages"].values()
    dependencies = {dep for stage in stages for dep in stage.get("do", stage).get("deps", []) if "/checked/" in dep}
    names = {"${item}": "d", "${item.dataset}": "d", "${item.backbone}": "b"}
    for dependency in dependencies:
        for word, name in names.items():
            dependency = dependency.replace(word, name)
        assert dependency.removeprefix("${paths.out}/checked/") in before
    assert written() == before
    for file, key in (("mine.py", "backbones/b.txt"), ("w.pth", "backbones/b.txt"), ("l.csv", "images/d.txt")):
        Path(file).write_text("changed")
        after = written()
        assert {name for name in after if after[name] != before[name]} == {key}
        before = after
