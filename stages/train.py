"""Stage train: one adapter from one store -> a run folder."""

from __future__ import annotations

from _common import Params, run, run_path, store_path

from udta import train as train_adapter


def train(params: Params, backbone: str, dataset: str, adapter: str) -> None:
    """Train with the options and the recipe that `params.yaml` gives this adapter."""
    settings = params.adapters[adapter]
    report = train_adapter(
        store_path(params, backbone, dataset),
        out=run_path(params, backbone, dataset, adapter),
        **settings.model_dump(),
    )
    print(f"{report.run}: {report.parameters:,} parameters, {report.epochs} epochs in {report.seconds:.1f} s")


if __name__ == "__main__":
    run(train)
