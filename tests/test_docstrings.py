"""Docstrings of what `import udta` gives: every parameter, what comes back, what may go wrong, and examples that are run."""

import doctest
import inspect
import re

import pytest
from toy import photographs

import udta

FUNCTIONS = [name for name in udta.__all__ if not inspect.isclass(getattr(udta, name))]
# Whose arguments a user gives; other objects come from calls.
CLASSES = ["FeatureLoader", "Predictor", "UDTAClassifier", "UDTARegressor"]


def sections(name):
    """The text of each section, by its heading."""
    parts = re.split(r"^(Args|Returns|Raises|Example|Attributes):\n", inspect.getdoc(getattr(udta, name)), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_every_parameter_is_described_and_nothing_else(name):
    described = re.findall(r"^    (\w+): \S", sections(name).get("Args", ""), re.M)
    assert described == list(inspect.signature(getattr(udta, name)).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_comes_back_and_shows_it(name):
    found = sections(name)
    assert ">>> " in found["Example"]
    assert "Returns" in found or inspect.signature(getattr(udta, name)).return_annotation == "None"
    assert "Raises" in found or name == "doctor"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the examples take for granted, made by the small network that they name."""
    world = tmp_path_factory.mktemp("world")
    photographs(world / "photos")
    photographs(world / "new_photos", per_class=1, seed=1)
    report = udta.extract(
        world / "photos", backbone="resnet18", taps="layer3=grid(4),layer4=avg", views=2, out=world / "photos.zarr"
    )
    udta.train(report.store, out=world / "runs" / "photos-udta", recipe={"epochs": 2})
    ids = udta.open_store(report.store).ids.tolist()
    lines = (f"{name},{'even' if number % 2 else 'odd'}" for number, name in enumerate(ids))
    (world / "colours.csv").write_text("\n".join(("path,label", *lines)) + "\n")
    return world


@pytest.mark.slow
def test_examples_are_true(world, monkeypatch):
    monkeypatch.chdir(world)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for name in sorted(FUNCTIONS, key="init".__ne__):  # first: others add to the project that it makes
        text = sections(name)["Example"]
        runner.run(doctest.DocTestParser().get_doctest(text, {"udta": udta}, name, None, 0))
    assert runner.summarize(verbose=False).failed == 0
