"""params.yaml: the committed file is right, and every mistake is reported at once."""

from pathlib import Path

import pytest
import yaml

from udta.adapters import ADAPTERS
from udta.config import load_params
from udta.errors import ConfigError

# Sixteen lines that stand for 3^16 values.
ALIASES = "a: &a [x, x]\n" + "".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [*{chr(n)}, *{chr(n)}, *{chr(n)}]\n" for n in range(97, 113)
)
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


def test_taps_may_be_left_out_and_a_budget_given(tmp_path):
    document = yaml.safe_load(COMMITTED.read_text())
    letters = document["backbones"]["letters"]
    del letters["taps"]
    letters["budget"] = "30kB"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    assert load_params(tmp_path / "params.yaml").backbones["letters"].budget == 30_000
    letters |= {"taps": "stage2", "budget": 300}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"backbones\.letters\.budget is for taps that are recommended"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "my pets",
        "pets.v2",
        "resnet18.a1_in1k",
        "../x",
        "",
        "-x",
        "a/b",
        "digits-100; touch PWNED #",
        "$(id)",
        "x" * 101,
    ],
)
@pytest.mark.parametrize("table", ["datasets", "backbones", "adapters"])
def test_a_name_that_cannot_be_a_folder_or_a_parameter_of_dvc_is_refused(tmp_path, table, name):
    document = yaml.safe_load(COMMITTED.read_text())
    document[table][name] = next(iter(document[table].values()))
    document["run"][table] = [name]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=f"run.{table} names .*letters, digits, _ and - only"):
        load_params(tmp_path / "params.yaml")


def test_names_that_dvc_would_join_to_the_same_are_refused(tmp_path):
    document = yaml.safe_load(COMMITTED.read_text())
    document["backbones"]["letters-digits"] = document["backbones"]["letters"]
    document["datasets"]["100"] = document["datasets"]["digits-100"]
    document["run"].update(backbones=["letters", "letters-digits"], datasets=["digits-100", "100"], adapters=["udta"])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match="several combinations that would be called 'letters-digits-100'"):
        load_params(tmp_path / "params.yaml")


def test_no_name_of_the_parameters_stands_in_a_command():
    """DVC gives commands to a shell, which would run what a name says."""
    stages = yaml.safe_load((COMMITTED.parent / "dvc.yaml").read_text())["stages"]
    commands = [stage.get("do", stage)["cmd"] for stage in stages.values()]
    assert [command for command in commands if "$" in command] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x: " + "y" * 2**21, "more than 1,048,576 bytes"),
        (ALIASES, "its aliases stand for"),
        ("a: &a [*a]", "an alias stands for what it is in"),
        ("a: " + "[" * 100_000, "not valid YAML|nested too deeply"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        (
            "a: \ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
            "no mapping|not valid YAML|pathes|Field required",
        ),
    ],
)
def test_yaml_has_an_answer_at_once(tmp_path, content, message, no_collection):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_params(tmp_path / "params.yaml")
