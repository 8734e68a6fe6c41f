"""Stage train: all adapters of one store -> a run folder for each."""

from __future__ import annotations

from _common import Params, run, store_path, sweep_path

from udta import sweep
from udta._console.display import ProgressDisplay
from udta._console.messages import say


def train(params: Params, backbone: str, dataset: str) -> None:
    """Train what `run.adapters` names, on all training rows: nothing is chosen here, so nothing is held back to choose by."""
    chosen = {name: params.adapters[name] for name in params.run.adapters}
    entries = {name: {**entry.model_dump(exclude={"seed"}), "seeds": [entry.seed]} for name, entry in chosen.items()}
    with ProgressDisplay("epochs") as progress:
        report = sweep(
            store_path(params, backbone, dataset),
            adapters={"adapters": entries},
            out=sweep_path(params, backbone, dataset),
            validation=0,
            **params.datasets[dataset].label_options(params.paths.images / dataset),
            progress=progress,
        )
    say(str(report))


if __name__ == "__main__":
    run(train, "backbones", "datasets")
