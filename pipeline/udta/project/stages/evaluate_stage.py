"""Stage evaluate: one run on the test split of its store -> metrics."""

from __future__ import annotations

from udta._files.atomic import write_json
from udta.config import Params
from udta.evaluation.measure import evaluate as evaluate_run
from udta.labels.options import LabelOptions
from udta.project._places import labels_path, metrics_path, run_path, store_path
from udta.project.running import Result

# Test images that go through the live backbone as well.
PARITY = 32


def evaluate(params: Params, backbone: str, dataset: str, adapter: str) -> Result:
    """Write `out/metrics/<backbone>-<dataset>-<adapter>.json`, numbers alone: what `dvc metrics show` can print."""
    metrics = evaluate_run(
        run_path(params, backbone, dataset, adapter),
        store_path(params, backbone, dataset),
        parity=PARITY,
        images=params.images(dataset),
        backbone=params.backbones[backbone].backbone,
        weights=params.weights(backbone),
        **LabelOptions.among(dict(params.datasets[dataset])) | {"labels": labels_path(params, dataset)},
    )
    del metrics["parity"]["differing"]
    for document in ("confusion", "labels", "untrained"):
        metrics.pop(document, None)
    out = metrics_path(params, backbone, dataset, adapter)
    write_json(out, metrics)
    return metrics, f"{out} has the figures of {metrics['n']} test images"
