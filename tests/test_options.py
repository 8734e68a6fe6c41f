"""Each list of options stands once: what is spelled out for readers is compared with the model."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields

import click
import pytest

import udta
from udta._files.validation import Mark
from udta.adapters import Recipe
from udta.cli.main import command
from udta.config import AdapterParams, DatasetParams, Params
from udta.extraction.options import ExtractOptions, StoreOptions
from udta.labels.options import LabelOptions
from udta.training.options import RecipeOptions, TrainOptions

# What is no option: the one positional argument, and what is called back.
NOT_OPTIONS = {"images", "stores", "store", "progress", "on_epoch", "on_score", "on_phase"}


def keywords(call):
    """Name and default of every keyword of a call that is an option."""
    parameters = inspect.signature(call).parameters.values()
    named = [one for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return {one.name: one.default for one in named if one.name not in NOT_OPTIONS}


def defaults(model, names=None):
    chosen = {name: field for name, field in model.model_fields.items() if names is None or name in names}
    return {name: inspect.Parameter.empty if field.is_required() else field.default for name, field in chosen.items()}


def documented(call):
    """The names in the docstring's Args."""
    arguments = re.search(r"Args:\n(.*?)\n\n", inspect.getdoc(call), re.DOTALL)[1]
    return set(re.findall(r"^    (\w+):", arguments, re.MULTILINE))


def test_extract_has_every_option_with_its_default():
    assert keywords(udta.extract) == defaults(ExtractOptions)


def test_so_has_plan_and_extract_many():
    assert keywords(udta.plan) == defaults(ExtractOptions)
    # Two stores cannot lie in one place, and each may have a backbone of its own.
    assert keywords(udta.extract_many) == defaults(ExtractOptions, set(ExtractOptions.model_fields) - {"out"}) | {
        "backbone": None
    }


def test_train_has_every_option_with_its_default():
    # A mapping as a default would be shared by all calls; None stands for an empty one.
    assert keywords(udta.train) == defaults(TrainOptions) | {"options": None, "recipe": None}


@pytest.mark.parametrize("call", [udta.with_labels, udta.train, udta.sweep, udta.fewshot, udta.evaluate])
def test_labels_of_a_file_are_asked_for_in_the_same_way_everywhere(call):
    found = {name: keywords(call)[name] for name in LabelOptions.model_fields}
    # A run knows its task, and there are no labels of a file without one.
    own = {udta.evaluate: {"task": None}, udta.with_labels: {"labels": inspect.Parameter.empty}}.get(call, {})
    assert found == defaults(LabelOptions) | own
    assert found.keys() <= documented(call)


@pytest.mark.parametrize("verb", ["train", "sweep", "fewshot", "evaluate"])
def test_and_on_the_command_line(verb):
    found = command.commands[verb]
    found.get_params(click.Context(found))
    options = {one.name: one for one in found.params if isinstance(one, click.Option)}
    for name, field in LabelOptions.model_fields.items():
        assert options[name].help == field.description or (verb, name) == ("evaluate", "task")


@pytest.mark.parametrize("call", [udta.extract, udta.plan, udta.extract_many, udta.train])
def test_every_argument_is_documented(call):
    assert documented(call) == keywords(call).keys() | documented(call) & NOT_OPTIONS


def test_what_params_yaml_takes_of_them():
    entries = {name: Params.model_fields[name].annotation.__args__[1] for name in ("backbones", "adapters")}
    assert entries == {"backbones": StoreOptions, "adapters": AdapterParams}
    assert ExtractOptions.model_fields.keys() - StoreOptions.model_fields.keys() == {
        "out", "if_stale", "splits", "decoder", "workers", "prefetch",
    }  # fmt: skip
    assert AdapterParams.model_fields.keys() < TrainOptions.model_fields.keys()
    assert LabelOptions.model_fields.keys() < DatasetParams.model_fields.keys()


def test_the_fields_of_a_recipe_that_have_an_option_are_some_of_it():
    kinds = {field.name: field.type for field in fields(Recipe)}
    for name, field in RecipeOptions.model_fields.items():
        # A file of weights by class is named on the command line; the recipe holds what stands in it.
        assert kinds[name].replace("ClassWeights", "str") in str(field.annotation), name


@pytest.mark.parametrize(
    ("verb", "models"),
    [("extract", [ExtractOptions]), ("plan", [ExtractOptions]), ("train", [TrainOptions, RecipeOptions])],
)
def test_the_command_line_has_an_option_for_every_field(verb, models):
    found = command.commands[verb]
    found.get_params(click.Context(found))  # they are made when they are asked for
    options = {one.name: one for one in found.params if isinstance(one, click.Option)}
    for model in models:
        for name, field in model.model_fields.items():
            if Mark.PYTHON_ONLY in field.metadata or (verb, name) == ("train", "recipe"):
                assert name not in options
                continue
            option = options.pop(name)
            assert option.required == field.is_required(), name
            if name not in ("adapter", "options"):
                assert option.help == field.description, name
    assert options.keys() == {"as_json", "quiet"}


def test_choices_are_those_of_the_registries(monkeypatch, photos, tmp_path):
    from udta.store import _registry

    monkeypatch.setitem(_registry._LINES, "toy", _registry._Line("_toy_engine:ToyEngine", ("none", "toyz")))
    verb = command.commands["extract"]
    text = verb.get_help(click.Context(verb))
    assert "toy]" in text
    assert "toyz]" in text
    options = {"backbone": "toy:net", "taps": "stage2", "out": tmp_path / "s"}
    with pytest.raises(udta.UdtaError, match="codec for hdf5 is 'toyz': valid are"):
        udta.extract(photos, **options, format="hdf5", codec="toyz")


def test_help_that_names_engines_and_types_does_not_wait_for_torch():
    code = "import sys, click; from udta.cli.main import command; verb = command.commands['extract']; \
print(verb.get_help(click.Context(verb))); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "[zarr|hdf5]" in done.stdout) == (0, True), done.stderr


def test_params_yaml_and_its_labels_are_read_without_engines_and_torch():
    code = "import sys, udta.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "zarr", "h5py", "PIL"} & set(done.stdout.split())
