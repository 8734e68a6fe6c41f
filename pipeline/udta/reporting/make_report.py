"""`udta.report`: everything that is known of runs and stores, on one page for people and as one document for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udta._console.progress import Progress, announce, watched
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._machine.device import resolve_device
from udta.errors import ConfigError
from udta.reporting._material import Material, gather_material
from udta.reporting._page import Section, write_page
from udta.reporting._runs import Found, Run, find
from udta.reporting.sections import SECTIONS, headline, top_figures


@dataclass(frozen=True)
class PageReport:
    """What was written: `files`, the page last, and what stands in it: `runs` with their figures, `missing` in sentences."""

    out: str
    summary: str
    files: tuple[str, ...]
    runs: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return {
            "out": self.out,
            "summary": self.summary,
            "files": list(self.files),
            "runs": [dict(run) for run in self.runs],
            "missing": list(self.missing),
        }

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"note: {line}" for line in self.missing), f"{self.out}: the page"])


@one_writer_of("out")
@watched("runs")
def report(
    folders: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "report.html",
    title: str = "Results",
    split: str = "test",
    compare: Sequence[str | Path] | None = None,
    images: str | Path | None = None,
    inspect: bool = True,
    device: str = "auto",
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> PageReport:
    """Write one HTML file about runs, few-shot curves and stores, which needs nothing beside it: no network, no script.

    Figures are those of each run's `metrics.json`. Where the store of a run can be opened, the adapter judges its test images
    once more, in one view, for what such figures do not tell: confusions, calibration, images. What is not there, such as a
    store or photographs that are gone, is said in a line.

    Args:
        folders: runs, folders of sweeps and few-shot curves, stores, or folders that hold any; a file is one of labels that runs
            were trained with.
        out: the page. Its drawings lie beside it as `<stem>_files/*.svg`.
        title: of the page.
        split: which rows of stores are looked at.
        compare: two run folders among those found; by default the best two of each dataset.
        images: where photographs are, of a single dataset, if they are not where they were at extraction.
        inspect: whether stores are looked through for label errors, copies and odd images, see `udta.inspect`.
        device: where adapters run: `auto`, `cpu`, `cuda` or `cuda:N`.
        progress: whether a bar is shown, or what is called instead with what is counted ("runs", "sections"), how many are done,
            of how many, and a word more; by default a bar in a notebook alone.

    Returns:
        What was written, and the figures in it.

    Raises:
        ConfigError: a folder is not there, there is nothing to report, or jinja2 or matplotlib are not installed.
        OutputBusyError: another process is writing `out`.

    Example:
        >>> udta.report(["runs", "photos.zarr"], out="report.html").summary  # doctest: +SKIP
    """
    target = local_path("out", out)
    named = [folders] if isinstance(folders, str | Path) else list(folders)
    found = find(named)
    pair = _pair(found, compare)
    material = gather_material(found, split, str(resolve_device(device)), images)
    material.compare, material.inspect = pair, inspect
    sections = []
    for done, (name, make) in enumerate(SECTIONS.items()):
        announce("sections", done, len(SECTIONS), name)
        sections.append(Section(name, make(material)))
    announce("sections", len(SECTIONS), len(SECTIONS))
    summary = headline(material)
    files = write_page(target, title, sections, summary=summary, figures=top_figures(material))
    return PageReport(
        str(target), summary, tuple(map(str, files)), _rows(material), tuple(dict.fromkeys(material.missing))
    )


def _pair(found: Found, compare: Sequence[str | Path] | None) -> tuple[Run, Run] | None:
    """The two runs to compare. Raises `ConfigError` where they are not two of those found."""
    if compare is None:
        return None
    by_path = {run.path.resolve(): run for run in found.runs}
    problems = [
        f"compare: {path} is no run below the folders given" for path in compare if Path(path).resolve() not in by_path
    ]
    if len(compare) != 2:
        problems.append(f"compare takes two runs, not {len(compare)}")
    if problems:
        raise ConfigError(problems)
    one, other = (by_path[Path(path).resolve()] for path in compare)
    return one, other


def _rows(material: Material) -> tuple[dict[str, Any], ...]:
    """A row for each run."""
    return tuple(
        {
            "dataset": each.setting.dataset,
            "backbone": each.setting.backbone,
            "labels": each.setting.labels,
            "task": each.setting.task,
            "run": str(run.path),
            "name": run.name,
            "figure": run.task.figure,
            "value": run.value,
            "low": run.interval[0] if run.interval else None,
            "high": run.interval[1] if run.interval else None,
            "evaluated_here": run.evaluated,
            "metrics": {name: value for name, value in run.metrics.items() if isinstance(value, int | float)},
        }
        for each in material.settings
        for run in each.runs
    )
