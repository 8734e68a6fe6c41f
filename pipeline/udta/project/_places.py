"""Where the stages of a project leave what they make, as its dvc.yaml has it."""

from __future__ import annotations

from pathlib import Path

from udta.config import Params


def checked_path(params: Params, *names: str) -> Path:
    """What `check` has seen of params.yaml, code, images or weights; others depend on these small files."""
    return params.paths.out.joinpath("checked", *names).with_suffix(".txt")


def dataset_path(params: Params, dataset: str) -> Path:
    """A dataset as it was prepared: `manifest.json`, and its file of labels where it has one."""
    return params.paths.out / "datasets" / dataset


def manifest_path(params: Params, dataset: str) -> Path:
    """Its manifest."""
    return dataset_path(params, dataset) / "manifest.json"


def labels_path(params: Params, dataset: str) -> Path | None:
    """The copy of its file of labels, on which training depends wherever the file itself lies."""
    labels = params.file_of(dataset, "labels")
    # The ending says what kind of table it is.
    return labels and dataset_path(params, dataset) / f"labels{labels.suffix}"


def features_path(params: Params, backbone: str, dataset: str) -> Path:
    """The small file that says what a store holds; training depends on it instead of on the store's files."""
    return params.paths.out / "features" / backbone / f"{dataset}.json"


def store_path(params: Params, backbone: str, dataset: str) -> Path:
    """The store itself."""
    return params.paths.stores / backbone / dataset


def sweep_path(params: Params, backbone: str, dataset: str) -> Path:
    """The folder of all adapters of one store."""
    return params.paths.out / "sweeps" / f"{backbone}-{dataset}"


def run_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The run folder of one adapter."""
    return sweep_path(params, backbone, dataset) / "runs" / adapter


def metrics_path(params: Params, backbone: str, dataset: str, adapter: str) -> Path:
    """The metrics that `dvc metrics show` prints."""
    return params.paths.out / "metrics" / f"{backbone}-{dataset}-{adapter}.json"
