"""Stage evaluate: one run on the test split of its store -> metrics."""

from __future__ import annotations

from _common import Params, metrics_path, run, run_path, store_path

from udta import evaluate as evaluate_run


def evaluate(params: Params, backbone: str, dataset: str, adapter: str) -> None:
    """Write `out/metrics/<backbone>-<dataset>-<adapter>.json`."""
    evaluate_run(
        run_path(params, backbone, dataset, adapter),
        store_path(params, backbone, dataset),
        out=metrics_path(params, backbone, dataset, adapter),
    )


if __name__ == "__main__":
    run(evaluate)
