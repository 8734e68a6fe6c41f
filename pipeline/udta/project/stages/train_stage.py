"""Stage train: all adapters of one store -> a run folder for each."""

from __future__ import annotations

from udta._console.display import ProgressDisplay
from udta.config import Params
from udta.labels.options import LabelOptions
from udta.project._places import labels_path, store_path, sweep_path
from udta.project.running import Result
from udta.training.sweep import sweep


def train(params: Params, backbone: str, dataset: str) -> Result:
    """Train what `run.adapters` names, on all training rows: nothing is chosen here, so nothing is held back to choose by."""
    chosen = {name: params.adapters[name] for name in params.run.adapters}
    entries = {name: {**entry.model_dump(exclude={"seed"}), "seeds": [entry.seed]} for name, entry in chosen.items()}
    labels = LabelOptions.among(dict(params.datasets[dataset])) | {"labels": labels_path(params, dataset)}
    with ProgressDisplay("epochs") as progress:
        report = sweep(
            store_path(params, backbone, dataset),
            adapters={"adapters": entries},
            out=sweep_path(params, backbone, dataset),
            validation=0,
            progress=progress,
            **labels,
        )
    return report.to_json(), str(report)
