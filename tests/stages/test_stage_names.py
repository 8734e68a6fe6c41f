"""What a stage is asked for comes from the name that DVC gives it, never through a shell."""

import importlib.util
from pathlib import Path

import pytest

from udta.config import load_params
from udta.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def common():
    spec = importlib.util.spec_from_file_location("stages_common", ROOT / "stages" / "_common.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stage_is_found_by_its_whole_name(common, monkeypatch):
    params = load_params(ROOT / "params.yaml")
    tables = ("backbones", "datasets", "adapters")
    monkeypatch.setenv("DVC_STAGE", "evaluate@letters-digits-100-concat_linear")
    assert common._names(params, tables) == ("letters", "digits-100", "concat_linear")
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:train@letters-greek")
    assert common._names(params, tables[:2]) == ("letters", "greek")
    assert common._names(params, ()) == ()


@pytest.mark.parametrize("name", ["train@letters-gree", "train", "", "train@letters-greek; touch x"])
def test_anything_else_is_refused(common, monkeypatch, name):
    monkeypatch.setenv("DVC_STAGE", name)
    with pytest.raises(ConfigError, match="names of backbones, datasets in params"):
        common._names(load_params(ROOT / "params.yaml"), ("backbones", "datasets"))
