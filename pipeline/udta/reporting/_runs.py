"""What lies below the folders that a report is asked for: runs, few-shot curves, stores, files of labels."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from udta._console.terminal import one_line
from udta.adapters import AdapterHeader, load_adapter
from udta.errors import AdapterError, ConfigError, UdtaError
from udta.store import Store, engine_at, open_store
from udta.tasks import FIGURE_NAMES, TASKS, Task, find_task

_METRICS, _FEW_SHOT = "metrics.json", "few_shot.json"


@dataclass(frozen=True, order=True)
class Setting:
    """What adapters are compared on: images, a backbone, and whose labels for which task."""

    dataset: str
    backbone: str
    labels: str = ""
    task: str = "multiclass"

    def titled(self, with_backbone: bool) -> str:
        """What to call it where all are of one backbone, or where they are not."""
        return " · ".join(part for part in (self.dataset, self.labels, self.backbone * with_backbone) if part)


@dataclass
class Run:
    """A run folder. `header` is None where the adapter's file cannot be used, `history` by column, empty where there is none.

    `name` is that of its adapter, or of its folder where several runs of a setting have the same adapter.
    """

    path: Path
    metrics: dict[str, Any]
    header: AdapterHeader | None
    history: dict[str, list[float]]
    setting: Setting
    name: str
    evaluated: bool = False  # here, and not when it was trained

    @cached_property
    def task(self) -> Task:
        """What it was trained for."""
        return find_task(self.setting.task)

    @property
    def value(self) -> float | None:
        """The figure that adapters of its task are compared by."""
        found = self.metrics.get(self.task.figure)
        return float(found) if isinstance(found, int | float) else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of 95 %, where the task has one."""
        low, high = (self.metrics.get(f"{self.task.figure}_{end}") for end in ("low", "high"))
        return None if low is None or high is None else (float(low), float(high))

    def number(self, name: str) -> float | None:
        """A figure of the run, or of its cost."""
        found = self.metrics.get(name, self.metrics.get("cost", {}).get(name))
        return float(found) if isinstance(found, int | float) else None


@dataclass
class Found:
    """All of it, in the order of the folders. `missing` are sentences on what could not be used."""

    runs: list[Run] = field(default_factory=list)
    few_shots: list[dict[str, Any]] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    label_files: dict[str, Path] = field(default_factory=dict)  # by SHA-256
    missing: list[str] = field(default_factory=list)


def find(folders: Sequence[str | Path]) -> Found:
    """Look for runs, few-shot curves and stores in folders and below; a file is one of labels.

    Raises:
        ConfigError: a folder is not there, or there is nothing to report in all of them; all are named.
    """
    paths = [Path(folder) for folder in folders]
    problems = [f"{path}: there is no such folder" for path in paths if not path.exists()]
    if problems:
        raise ConfigError(problems)
    found, seen = Found(), set[Path]()
    for path in paths:
        if path.is_file():
            found.label_files[hashlib.sha256(path.read_bytes()).hexdigest()] = path
        for kind, folder in _walk(path):
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                _take(found, kind, folder)
    if not (found.runs or found.few_shots or found.stores):
        named = ", ".join(map(str, paths))
        raise ConfigError(
            f"{named}: no run, few-shot curve or store is in there; `udta train STORE --out RUN` makes a run"
        )
    _name(found.runs)
    return found


def _walk(path: Path) -> Iterator[tuple[str, Path]]:
    """Kind and folder of what is there: a store's own folders and the runs of a few-shot curve are not looked into."""
    for parent, folders, files in os.walk(path):
        folder, names = Path(parent), set(files)
        is_sweep = "results.csv" in names and "runs" in folders
        # `best` of a sweep is a copy of one of its runs.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not (is_sweep and name == "best"))
        if _FEW_SHOT in names:
            yield "few_shot", folder
            folders.clear()
        elif _METRICS in names:
            yield "run", folder
        elif ("zarr.json" in names or any(name.endswith(".h5") for name in names)) and engine_at(folder) is not None:
            yield "store", folder
            folders.clear()


def _take(found: Found, kind: str, folder: Path) -> None:
    try:
        if kind == "store":
            found.stores.append(open_store(folder))
        elif kind == "few_shot":
            found.few_shots.append(_few_shot(folder))
        else:
            found.runs.append(_run(folder, found.missing))
    except (UdtaError, OSError, ValueError, KeyError, TypeError) as error:
        found.missing.append(f"{folder}: left out, it cannot be read ({one_line(error)})")


def _few_shot(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / _FEW_SHOT).read_bytes())
    for point in document["curve"]:
        float(point["top1"])
    return {**document, "folder": str(folder), "dataset": Path(str(document["store"])).name}


def _run(folder: Path, missing: list[str]) -> Run:
    metrics = json.loads((folder / _METRICS).read_bytes())
    if not isinstance(metrics, dict):
        raise ValueError(f"{_METRICS} is no object")
    header: AdapterHeader | None = None
    try:
        header = load_adapter(folder)[1]
    except AdapterError as error:
        missing.append(f"{folder}: {one_line(error)}; its figures are those of {_METRICS}")
    return Run(folder, metrics, header, _history(folder), _setting(folder, metrics, header), folder.name)


def _history(folder: Path) -> dict[str, list[float]]:
    try:
        with (folder / "history.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        return {name: [float(line[name]) for line in lines] for name in (lines[0] if lines else {})}
    except (OSError, ValueError, TypeError):
        return {}


def _setting(folder: Path, metrics: Mapping[str, Any], header: AdapterHeader | None) -> Setting:
    if header is None:
        # What is known without the adapter: its task by its figures, the rest by its folders.
        task = next((task.name for task in TASKS.values() if task.figure in metrics), "multiclass")
        sweep = folder.parent.parent if folder.parent.name == "runs" else folder
        return Setting(sweep.name, "", "", task)
    images, backbone = (str(header.source.get(name) or "") for name in ("images", "backbone"))
    backbone = backbone or str(header.fingerprint.fields.get("backbone", {}).get("factory", ""))
    source = header.training.get("labels")
    labels = (
        f"{source.get('file')}:{','.join(map(str, source.get('columns', ())))}"
        if isinstance(source, dict) and source
        else ""
    )
    return Setting(Path(images).name or folder.name, short_backbone(backbone), labels, header.task)


def short_backbone(name: str) -> str:
    """What people call a backbone: of `torchvision.models.quantization:mobilenet_v2?quantize=false` the middle."""
    return re.sub(r"^[\w.]+:(?!.*/)", "", name.partition("?")[0])


def _name(runs: Sequence[Run]) -> None:
    """By the adapter; where one setting has that several times by the folder, and where folders repeat by the one above too."""
    for run in runs:
        run.name = run.header.adapter if run.header else str(run.metrics.get("adapter", run.path.name))
    for naming in (lambda path: path.name, lambda path: f"{path.parent.name}/{path.name}", str):
        taken = Counter((run.setting, run.name) for run in runs)
        for run in runs:
            if taken[run.setting, run.name] > 1:
                run.name = naming(run.path)


def figure_name(task: Task) -> str:
    """How people write the figure of a task."""
    return FIGURE_NAMES[task.figure]
