"""Stage evaluate: one run on the test split of its store -> metrics."""

from __future__ import annotations

from _common import Params, metrics_path, run, run_path, store_path

from udta import evaluate as evaluate_run
from udta._files.atomic import write_json

# Test images that go through the live backbone as well.
PARITY = 32


def evaluate(params: Params, backbone: str, dataset: str, adapter: str) -> None:
    """Write `out/metrics/<backbone>-<dataset>-<adapter>.json`, numbers alone: what `dvc metrics show` can print."""
    metrics = evaluate_run(
        run_path(params, backbone, dataset, adapter),
        store_path(params, backbone, dataset),
        parity=PARITY,
        images=params.paths.images / dataset,
        backbone=params.backbones[backbone].backbone,
        weights=params.weights(backbone),
        **params.datasets[dataset].label_options(params.paths.images / dataset),
    )
    del metrics["parity"]["differing"]
    for document in ("confusion", "labels", "untrained"):
        metrics.pop(document, None)
    write_json(metrics_path(params, backbone, dataset, adapter), metrics)


if __name__ == "__main__":
    run(evaluate, "backbones", "datasets", "adapters")
