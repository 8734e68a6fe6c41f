"""Stage train: all adapters of one store -> a run folder for each."""

from __future__ import annotations

from _common import Params, run, store_path, sweep_path

from udta import sweep
from udta.cli.common import ProgressDisplay


def train(params: Params, backbone: str, dataset: str) -> None:
    """Train what `run.adapters` names, on all training rows: nothing is chosen here, so nothing is held back to choose by."""
    entries = {}
    for name in params.run.adapters:
        entry = params.adapters[name].model_dump()
        entries[name] = {**entry, "seeds": [entry.pop("seed")]}
    with ProgressDisplay("epochs") as progress:
        report = sweep(
            store_path(params, backbone, dataset),
            adapters={"adapters": entries},
            out=sweep_path(params, backbone, dataset),
            validation=0,
            on_epoch=lambda epoch, epochs, active: progress(epoch, epochs, f"{active} adapters"),
        )
    print(report)


if __name__ == "__main__":
    run(train)
