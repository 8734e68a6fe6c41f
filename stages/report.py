"""Stage report: the evaluations of everything that `run` names -> one table, as text, Markdown and CSV."""

from __future__ import annotations

from _common import Params, features_path, metrics_path, run, run_path

from udta._files.atomic import write_text
from udta._files.locks import one_writer
from udta.reporting import ResultRow, read_result, to_csv, to_markdown, to_text


def report(params: Params) -> None:
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


if __name__ == "__main__":
    run(report)
