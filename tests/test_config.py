"""params.yaml: the committed file is right, and every mistake is reported at once."""

from pathlib import Path

import pytest
import yaml

from udta.adapters import ADAPTERS
from udta.config import load_params
from udta.errors import ConfigError

COMMITTED = Path(__file__).parent.parent / "params.yaml"


def test_the_committed_file_is_valid():
    params = load_params(COMMITTED)
    assert set(params.run.generate) <= set(params.run.datasets)
    assert {adapter.adapter for adapter in params.adapters.values()} <= set(ADAPTERS)
    assert params.weights("mobilenet_v2") == "weights/mobilenet_v2_relu.pth"


def test_all_mistakes_come_together(tmp_path):
    document = yaml.safe_load(COMMITTED.read_text())
    document["backbones"]["letters"]["view"] = 3
    document["backbones"]["letters"]["dtype"] = "float61"
    document["pathes"] = {}
    del document["datasets"]["fonts"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError) as caught:
        load_params(tmp_path / "params.yaml")
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    for expected in ("did you mean 'views'", "did you mean 'paths'", "float16"):
        assert expected in text


def test_names_that_do_not_exist_come_with_the_nearest(tmp_path):
    document = yaml.safe_load(COMMITTED.read_text())
    document["run"]["datasets"] = ["digit-100"]
    document["run"]["adapters"] = ["utda"]
    document["run"]["generate"] = ["birds"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError) as caught:
        load_params(tmp_path / "params.yaml")
    assert len(caught.value.problems) == 3
    assert "did you mean 'digits-100'" in str(caught.value)
    assert "has no maker" in str(caught.value)


@pytest.mark.parametrize("content", ["", "a: [", "3"])
def test_files_that_are_no_parameters(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ConfigError):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="there is no such file"):
        load_params(tmp_path / "absent.yaml")
