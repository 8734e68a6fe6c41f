"""What a stage is asked for comes from the name that DVC gives it, never through a shell."""

from pathlib import Path

import pytest
import yaml

from udta.errors import ConfigError
from udta.project.init import TEMPLATE
from udta.project.running import run_stage
from udta.project.stages import STAGES

ROOT = Path(__file__).parent.parent.parent


def asked(*tables, names=()):
    """What a stage of the repository is called with."""
    return run_stage(lambda params, *found: ({}, found), tables, names)[1]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)
    # Else it would wait for the end of whoever runs these tests, and end them.
    monkeypatch.setattr("udta.project.running._die_with_dvc", lambda: None)


def test_a_stage_is_found_by_its_whole_name(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "evaluate@letters-digits-100-concat_linear")
    assert asked("backbones", "datasets", "adapters") == ("letters", "digits-100", "concat_linear")
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:train@letters-greek")
    assert asked("backbones", "datasets") == ("letters", "greek")
    assert asked("backbones", "datasets", names=["letters", "fonts"]) == ("letters", "fonts")
    assert asked() == ()


@pytest.mark.parametrize("name", ["train@letters-gree", "train", "", "train@letters-greek; touch x"])
def test_anything_else_is_refused(monkeypatch, name):
    monkeypatch.setenv("DVC_STAGE", name)
    with pytest.raises(ConfigError, match="names of backbones, datasets in run of params"):
        asked("backbones", "datasets")


def test_and_so_are_names_by_hand_that_are_not_there():
    with pytest.raises(ConfigError, match="there are backbones: letters; datasets: digits-100"):
        asked("backbones", "datasets", names=["letters", "birds"])
    with pytest.raises(ConfigError, match="takes no name: leave out letters"):
        asked(names=["letters"])


def test_the_graph_has_the_stages_that_are_registered():
    """Ours has one more, which makes images."""
    own, theirs = (yaml.safe_load(file.read_text())["stages"] for file in (ROOT / "dvc.yaml", TEMPLATE / "dvc.yaml"))
    assert list(theirs) == list(STAGES)
    del own["generate"]
    own["prepare"]["do"]["deps"].remove("${paths.images}/${item}")
    assert own == theirs
    assert [stage.get("do", stage)["cmd"] for stage in theirs.values()] == [f"udta stage {name}" for name in STAGES]
