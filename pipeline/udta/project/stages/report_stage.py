"""Stage report: everything that `run` names -> one table, as text, Markdown and CSV, one page, and data for `dvc plots`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from udta._files.atomic import write_text
from udta._files.locks import one_writer
from udta._files.table_file import write_table
from udta.config import Params
from udta.project._places import features_path, labels_path, metrics_path, run_path, store_path
from udta.project.running import Result
from udta.reporting import ResultRow, read_result, to_csv, to_markdown, to_text
from udta.reporting.make_report import report as write_page

_LOG = logging.getLogger(__name__)


def report(params: Params) -> Result:
    """Iterates `params.yaml`, never a folder: what was built for an earlier `run` lies there still."""
    names = [
        (backbone, dataset, adapter)
        for backbone in params.run.backbones
        for dataset in params.run.datasets
        for adapter in params.run.adapters
    ]
    rows: list[ResultRow] = [
        read_result(
            (backbone, dataset, adapter),
            features=features_path(params, backbone, dataset),
            run=run_path(params, backbone, dataset, adapter) / "metrics.json",
            metrics=metrics_path(params, backbone, dataset, adapter),
        )
        for backbone, dataset, adapter in names
    ]
    out = params.paths.out / "report"
    with one_writer(out):
        for name, render in (("results.txt", to_text), ("results.md", to_markdown), ("results.csv", to_csv)):
            write_text(out / name, render(rows))
        _write_plots(out / "plots", rows)
    if find_spec("jinja2") and find_spec("matplotlib"):
        runs = [run_path(params, *each) for each in names]
        stores = [store_path(params, *each) for each in dict.fromkeys(each[:2] for each in names)]
        labels = [labels_path(params, dataset) for dataset in params.run.datasets]
        asked = [*runs, *stores, *(file for file in labels if file)]
        # Looking through stores takes longer than all else here, and would be done again with each new adapter.
        write_page(asked, out=out / "report.html", title="Report", inspect=False)
    else:
        _LOG.warning("no page is written, it needs jinja2 and matplotlib: pip install 'udta[report]'")
    return {"results": [asdict(row) for row in rows]}, to_text(rows).rstrip("\n")


def _write_plots(folder: Path, rows: Sequence[ResultRow]) -> None:
    """What `dvc plots show` draws: figures, and figures against the time of training, a line a run."""
    folder.mkdir(parents=True, exist_ok=True)
    called = [f"{row.dataset} {row.backbone} {row.adapter}" for row in rows]
    write_table(folder / "figures.csv", {"run": called, "figure": [row.value for row in rows]})
    write_table(
        folder / "time.csv",
        {"run": called, "seconds": [row.train_seconds for row in rows], "figure": [row.value for row in rows]},
    )
