"""`udta add-dataset`, `add-backbone`, `add-adapter`: one more entry, every comment where it was, or nothing."""

import inspect
from pathlib import Path

import click
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import udta
from udta.cli.main import command
from udta.config import DatasetParams, load_params
from udta.errors import ConfigError, DataError
from udta.extraction.options import StoreOptions
from udta.project._yaml_text import with_entry
from udta.project.init import TEMPLATE

FILE = Path("params.yaml")


@pytest.fixture
def project(tmp_path, photos, monkeypatch):
    """A project, by its `params.yaml` alone."""
    text = (TEMPLATE / "params.yaml").read_text()
    for word, value in {
        "${BACKBONE_ENTRY}": "letters",
        "$DATASET": "first",
        "$IMAGES": "x",
        "$WEIGHTS": "none",
    }.items():
        text = text.replace(word, value)
    (tmp_path / "photos").symlink_to(photos)
    (tmp_path / "params.yaml").write_text(text.replace("$BACKBONE", "udta.backbones.letters:letters_net"))
    monkeypatch.chdir(tmp_path)


def comments():
    return [line.partition("#")[2] for line in FILE.read_text().splitlines() if "#" in line]


def run(*arguments):
    command.main(list(arguments), standalone_mode=False)


def test_entries_are_added_at_the_end_of_their_table_and_comments_stay(project):
    before, said = FILE.read_text().splitlines(), comments()
    run("add-dataset", "second", "photos", "--labels", "t.csv", "--column", "on")
    run("add-backbone", "toy", "--backbone", "toy:net", "--views", "2", "--budget", "300kB")
    run("add-adapter", "narrow", "--adapter", "udta", "--option", "width=64", "--epochs", "3")
    assert comments() == said
    assert [line for line in before if line not in FILE.read_text().splitlines()] == []
    params = load_params(FILE)
    assert (params.run.datasets, params.images("second")) == (["first", "second"], "photos")
    assert params.datasets["second"].column == "on"  # which YAML 1.1 reads as true
    assert (params.backbones["toy"].views, params.backbones["toy"].budget) == (2, 300_000)
    assert (params.adapters["narrow"].options, params.adapters["narrow"].recipe) == ({"width": 64}, {"epochs": 3})
    # What nobody chose is not there, and tables are where they were, with the line that stands above each.
    document = yaml.safe_load(FILE.read_text())
    assert document["backbones"]["toy"] == {"backbone": "toy:net", "budget": "300kB", "views": 2}
    lines = FILE.read_text().splitlines()
    assert lines[lines.index("datasets:") - 1].startswith("# Where images lie")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add-dataset", "first", "photos"], "datasets has an entry 'first'; choose another name than first"),
        (["add-dataset", "a b", "photos"], "letters, digits, _ and - only"),
        (["add-backbone", "b", "--backbone", "mobilenet_v3"], "did you mean 'mobilenet_v2'"),
        (["add-backbone", "b", "--backbone", "resnet18", "--views", "0"], "views is 0, but view 0"),
        (["add-adapter", "a", "--adapter", "utda"], "there is no adapter 'utda': did you mean 'udta'"),
        (["add-adapter", "a", "--adapter", "udta", "--option", "widht=3", "--lr", "-1"], "did you mean 'width'"),
    ],
)
def test_what_is_wrong_leaves_the_file_as_it_was(project, arguments, message):
    before = FILE.read_text()
    with pytest.raises(ConfigError, match=message):
        run(*arguments)
    assert FILE.read_text() == before


def test_images_that_are_not_there_and_no_project(project, tmp_path):
    with pytest.raises(DataError, match="there is no folder or file 'absent'"):
        udta.add_dataset("second", "absent")
    with pytest.raises(
        ConfigError, match=r"no such file; run this in the folder of a project, which `udta init` makes"
    ):
        udta.add_adapter("a", adapter="linear", project=tmp_path / "photos")


def test_comments_of_any_style_stay(tmp_path):
    text = b"run:\n  datasets: [a]  # x\n  # below\n\n# tables\ndatasets:\n  a: {images: x}  # eol\n\n# the end\n"
    once = with_entry(text, FILE, "datasets", "1e3", {"images": "../x", "options": {"l": [1, "no"]}})
    # YAML 1.1, which we read, takes `no` for false, and 1.2, which DVC reads, `1e3` for a number.
    assert yaml.safe_load(once) == {
        "run": {"datasets": ["a", "1e3"]},
        "datasets": {"a": {"images": "x"}, "1e3": {"images": "../x", "options": {"l": [1, "no"]}}},
    }
    kept = once.decode().splitlines()
    assert [line for line in kept if "#" in line] == [
        "  datasets: [a, '1e3'] # x", "  # below", "# tables", "  a: {images: x}  # eol", "# the end",
    ]  # fmt: skip
    assert kept[-1] == "# the end"


VALUES = st.text() | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), VALUES | st.lists(VALUES, max_size=3), max_size=3)
)
@example({"x": "1e3", "on": "on", "y": "\n# no comment", "lr": 1e-05})
def test_what_was_written_is_read_whatever_it_is(entry):
    """By both versions of YAML that read it, ours and DVC's; and the file around it stays."""
    text = b"run:\n  adapters:\n    - a\n\n# above\nadapters:\n  a: {seed: 0}\n\n# the end\n"
    written = with_entry(text, FILE, "adapters", "b", entry)
    for read in (yaml.safe_load, YAML(typ="safe").load):
        assert read(written) == {"run": {"adapters": ["a", "b"]}, "adapters": {"a": {"seed": 0}, "b": entry}}
    lines = written.decode().splitlines()
    assert lines[:5] == ["run:", "  adapters:", "    - a", "    - b", ""]
    assert lines[5:8] == ["# above", "adapters:", "  a: {seed: 0}"]
    assert lines[-2:] == ["", "# the end"]


@pytest.mark.parametrize(
    ("call", "model", "own"),
    [(udta.add_dataset, DatasetParams, {"maker"}), (udta.add_backbone, StoreOptions, set())],
)
def test_the_calls_and_verbs_have_every_option_with_its_default(call, model, own):
    found = {name: one.default for name, one in inspect.signature(call).parameters.items()}
    fields = {name: field for name, field in model.model_fields.items() if name not in own}
    assert found.keys() == fields.keys() | {"name", "project"}
    for name, field in fields.items():
        default = inspect.Parameter.empty if field.is_required() or name == "images" else field.default
        assert found[name] == default, name
    verb = command.commands[call.__name__.replace("_", "-")]
    verb.get_params(click.Context(verb))
    options = {one.name: one for one in verb.params}
    assert fields.keys() <= options.keys()
    assert not any(one.multiple for one in verb.params if isinstance(one, click.Option))
