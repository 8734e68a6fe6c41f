"""A dataset of params.yaml whose labels come from a file: what is trained and measured is the task of that file."""

import json
import shutil
from pathlib import Path

import yaml

from udta import open_store
from udta.adapters import load_adapter
from udta.config import load_params
from udta.project.stages.evaluate_stage import evaluate
from udta.project.stages.prepare_stage import prepare
from udta.project.stages.train_stage import train

ROOT = Path(__file__).parent.parent.parent


def test_the_stages_read_the_file_in_the_folder_of_the_dataset(toy_store, photos, tmp_path):
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["run"] = {"backbones": ["letters"], "datasets": ["mine"], "adapters": ["linear"]}
    document["backbones"] = {"letters": {"backbone": "toy:net", "views": 2}}
    document["datasets"] = {"mine": {"labels": "t.csv", "column": "odd"}}
    document["adapters"] = {"linear": {"adapter": "ridge"}}
    document["paths"] = {name: str(tmp_path / name) for name in ("images", "weights", "out", "stores")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    shutil.copytree(photos, tmp_path / "images" / "mine")
    (tmp_path / "stores" / "letters").mkdir(parents=True)
    (tmp_path / "stores" / "letters" / "mine").symlink_to(toy_store)
    ids = open_store(toy_store).ids.tolist()
    (tmp_path / "images" / "mine" / "t.csv").write_text(
        "\n".join(["path,odd", *(f"{name},{'yes' if row % 2 else 'no'}" for row, name in enumerate(ids))])
    )
    params = load_params(tmp_path / "params.yaml")
    prepare(params, "mine")
    train(params, "letters", "mine")
    run = tmp_path / "out" / "sweeps" / "letters-mine" / "runs" / "linear"
    assert load_adapter(run)[1].classes == ("no", "yes")
    evaluate(params, "letters", "mine", "linear")
    [metrics] = (tmp_path / "out" / "metrics").glob("*.json")
    found = json.loads(metrics.read_text())
    assert found["top1"] == json.loads((run / "metrics.json").read_text())["top1"]
    assert all(isinstance(value, float | int | dict) for value in found.values())  # what `dvc metrics show` can print
