"""Stage report: the evaluations of everything that `run` names -> one table, as text, Markdown and CSV."""

from __future__ import annotations

from dataclasses import asdict

from udta._files.atomic import write_text
from udta._files.locks import one_writer
from udta.config import Params
from udta.project._places import features_path, metrics_path, run_path
from udta.project.running import Result
from udta.reporting import ResultRow, read_result, to_csv, to_markdown, to_text


def report(params: Params) -> Result:
    """Iterates `params.yaml`, never a folder: what was built for an earlier `run` lies there still."""
    rows: list[ResultRow] = [
        read_result(
            (backbone, dataset, adapter),
            features=features_path(params, backbone, dataset),
            run=run_path(params, backbone, dataset, adapter) / "metrics.json",
            metrics=metrics_path(params, backbone, dataset, adapter),
        )
        for backbone in params.run.backbones
        for dataset in params.run.datasets
        for adapter in params.run.adapters
    ]
    out = params.paths.out / "report"
    with one_writer(out):
        for name, render in (("results.txt", to_text), ("results.md", to_markdown), ("results.csv", to_csv)):
            write_text(out / name, render(rows))
    return {"results": [asdict(row) for row in rows]}, to_text(rows).rstrip("\n")
