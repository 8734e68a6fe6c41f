"""The house stays one that is walked through: its figures, maps and walks are true."""

import ast
import re

import pytest
from house import ROOT, House

import udta

HOUSE = House()
PACKAGE = ROOT / "udta"
FOLDERS = sorted(init.parent for init in PACKAGE.rglob("__init__.py"))
DESIGN = (ROOT.parent / "docs" / "design.md").read_text()
WALKS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", DESIGN, re.M | re.S))


def test_nothing_that_may_not_get_worse_got_worse():
    assert HOUSE.worse == []


def test_the_figures_notice_what_they_are_there_for(tmp_path):
    (tmp_path / "udta" / "store").mkdir(parents=True)
    (tmp_path / "udta" / "cli").mkdir()
    for name in ("__init__", "errors", "config", "one", "two", "three", "four", "five"):
        (tmp_path / "udta" / f"{name}.py").write_text("")
    (tmp_path / "udta" / "cli" / "__init__.py").write_text("")
    (tmp_path / "udta" / "store" / "__init__.py").write_text("def many(a, b, c, d, e, f, g, h, i): ...\n")
    (tmp_path / "udta" / "store" / "a.py").write_text("def later():\n    import udta.store.b\n    import udta.cli\n")
    (tmp_path / "udta" / "store" / "b.py").write_text("from udta.store import a\n")
    found = House(tmp_path)
    assert found.circles == [["udta.store.a", "udta.store.b"]]
    assert found.upward == ["udta.store.a imports udta.cli"]
    assert [each.where for each in found.many_parameters] == ["udta.store:many"]
    assert len(found.worse) == 4


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_map_of_a_folder_names_what_lies_in_it(folder):
    """Each step once, as the first word of a line, with what it does."""
    if folder == PACKAGE:
        pytest.skip("the root has no steps; docs/design.md has its plan")
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    mapped = re.findall(r"^(\w+)/? {2,}\S", docstring, re.M)
    there = [file.stem for file in folder.glob("*.py") if file.stem != "__init__"]
    there += [inner.parent.name for inner in folder.glob("*/__init__.py")]
    assert sorted(mapped) == sorted(there)


def test_no_two_files_of_one_name_mean_different_things():
    """A verb is called as the step that it calls; options and registries are those of their folder."""
    alike = {"__init__", "options", "registry"}
    stems = [
        file.stem.strip("_") for file in PACKAGE.rglob("*.py") if file.parent.name != "cli" and file.stem not in alike
    ]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []


def test_what_is_nobody_elses_business_begins_with_an_underscore():
    """And nothing else does. What a registry lists, the verbs, and the homes of what `udta` hands out are found by name."""
    handed_out = {f"udta.{home}" for home in udta._HOME.values()}
    wrong = []
    for module in HOUSE.texts:
        folder, _, name = module.rpartition(".")
        if folder.count(".") < 1 or HOUSE.is_folder(module):
            continue
        registered = (
            f"{folder}.registry" in HOUSE.texts or folder in ("udta.cli", "udta.images.ops") or name == "letters"
        )
        others = [other for other, imported in HOUSE.imports.items() if module in imported]
        private = all(other == folder or other.startswith(f"{folder}.") for other in others)
        if private != name.startswith("_") and not (registered and private) and module not in handed_out:
            wrong.append(module)
    assert wrong == []


def test_the_plan_names_every_folder_and_module_of_the_root():
    names = {path.stem for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    names |= {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert names <= set(re.findall(r"\w+", DESIGN))


@pytest.mark.parametrize("walk", list(WALKS))
def test_the_names_of_a_walk_are_true(walk):
    steps = re.findall(r"`([\w/]+\.py):([\w.]+)`", WALKS[walk])
    assert len(steps) > 3
    for file, name in steps:
        tree = ast.parse((PACKAGE / file).read_text())
        for part in name.split("."):
            inner = [node for node in ast.walk(tree) if getattr(node, "name", None) == part]
            assert inner, f"{file} has no {name}"
            tree = inner[0]


def test_an_image_visits_at_most_ten_files_and_none_twice():
    [walk] = [text for title, text in WALKS.items() if title.startswith("An image")]
    files = re.findall(r"^\d+\. `([\w/]+\.py):", walk, re.M)
    assert len(files) == len(set(files)) <= 10
