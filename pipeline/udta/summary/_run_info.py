"""What a run is: its adapter's header, and beside it `metrics.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from udta._console.terminal import one_line
from udta._files.adapter_document import NAME, adapter_file, read_document
from udta.errors import AdapterError
from udta.fingerprint import Fingerprint
from udta.summary._lines import backbone_lines, classes_text, field_of, names_text, settings_text, taps_lines

CHECKPOINT = "checkpoint.safetensors"  # there until the run is complete
# What adapters of a task are compared by; `udta.tasks`, which says so of each, loads torch.
FIGURES = ("top1", "map", "r2")
_METRICS = "metrics.json"
Number = TypeVar("Number", int, float)
# Of what a header says of the training, what is no field of the recipe.
_NO_RECIPE = ("seed", "samples", "cost", "untrained_classes", "labels", "prior", "asked", "udta")


@dataclass(frozen=True)
class RunInfo:
    """A trained adapter, as its file and the run folder around it tell.

    `options` are the adapter's own, `recipe` is how it was trained; `taps` are those that it reads, as JSON; `metrics` are
    those of its test split, and empty where there was none. `training` has `seed`, `samples`, `labels`, `prior`,
    `untrained_classes` and the version of `udta`; `trained` is when the file was written, in local time. `cost` is the ledger of
    `metrics.json`, empty for an adapter file alone; `files` gives bytes by name.
    """

    run: str
    adapter: str
    task: str
    classes: tuple[str, ...]
    options: Mapping[str, Any]
    recipe: Mapping[str, Any]
    taps: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, Any]
    training: Mapping[str, Any]
    trained: str
    parameters: int | None
    epochs: int | None
    train_seconds: float | None
    cost: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    source: Mapping[str, Any]
    files: Mapping[str, int]

    @property
    def figure(self) -> tuple[str, float] | None:
        """Name and value of what adapters of its task are compared by, such as `top1`; None where nothing was measured."""
        found = (name for name in FIGURES if isinstance(self.metrics.get(name), float))
        return next(((name, self.metrics[name]) for name in found), None)

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        digest = Fingerprint(self.fingerprint).digest
        return {**asdict(self), "fingerprint": {"sha256": digest, **self.fingerprint}}

    def __str__(self) -> str:
        size = sum(self.files.values()) / 1e6
        parameters = "" if self.parameters is None else f", {self.parameters:,} parameters"
        what = "classes" if self.task == "multiclass" else "outputs"
        lines = [
            f"{self.run}: adapter {one_line(self.adapter)}{parameters}, {size:.1f} MB",
            f"task      {one_line(self.task)}, {what} {classes_text(self.classes)}",
            f"options   {settings_text(self.options)}",
            f"recipe    {settings_text(self.recipe)}",
            *taps_lines(self.taps),
            *backbone_lines(self.fingerprint, self.source),
            f"figures   {self._figures()}",
            f"trained   {self._trained()}",
        ]
        labels, untrained = self.training.get("labels"), self.training.get("untrained_classes")
        if isinstance(labels, Mapping) and labels:
            lines.append(f"labels    {field_of(labels, 'file')}, column(s) {field_of(labels, 'columns')}")
        if isinstance(untrained, list) and untrained:
            lines.append(f"untrained {len(untrained)} class(es) without an image to train on: {names_text(untrained)}")
        lines += [f"images    {field_of(self.source, 'images')}"] if "images" in self.source else []
        files = ", ".join(f"{one_line(name)} {size / 1e3:,.1f} kB" for name, size in self.files.items())
        return "\n".join([*lines, f"sha256    {Fingerprint(self.fingerprint).digest}", f"files     {files}"])

    def _figures(self) -> str:
        if not self.metrics:
            return "none: there was no labelled test split"
        figures = []
        for name, value in self.metrics.items():
            if isinstance(value, float) and not name.endswith(("_low", "_high")):
                low, high = self.metrics.get(f"{name}_low"), self.metrics.get(f"{name}_high")
                between = f" [{low:.4f}, {high:.4f}]" if isinstance(low, float) and isinstance(high, float) else ""
                figures.append(f"{one_line(name)} {value:.4f}{between}")
        return f"{', '.join(figures)}; of {field_of(self.metrics, 'n')} images"

    def _trained(self) -> str:
        took = "" if self.epochs is None else f", {self.epochs} epoch(s) in {self.train_seconds:.1f} s"
        prior = field_of(self.training, "prior")
        return (
            f"{self.trained} by udta {field_of(self.training, 'udta')}, seed {field_of(self.training, 'seed')}, on"
            f" {field_of(self.training, 'samples')} images{took}; probabilities are for {prior} shares of classes"
        )


def read_run(path: Path) -> RunInfo:
    """What the run at a path is, or the adapter file that lies there.

    Raises:
        AdapterError: there is none, or it is damaged, foreign or of another version.
    """
    file = adapter_file(path)
    document = read_document(file)
    beside = _beside(path / _METRICS) if path.is_dir() else {}
    names = sorted(path.iterdir()) if path.is_dir() else [file]
    training, metrics = document["training"], document["metrics"]
    return RunInfo(
        run=str(path),
        adapter=document["adapter"],
        task=document["task"],
        classes=tuple(document["classes"]),
        options=document["options"],
        recipe={name: value for name, value in training.items() if name not in _NO_RECIPE},
        taps=tuple(document["taps"]),
        # In the order of `metrics.json`, the most important first; a header is sorted by name.
        metrics={name: metrics[name] for name in (*(name for name in beside if name in metrics), *metrics)},
        training={name: training[name] for name in _NO_RECIPE if name in training and name not in ("cost", "asked")},
        trained=datetime.fromtimestamp(file.stat().st_mtime).astimezone().isoformat(" ", "seconds"),
        parameters=_number(beside.get("parameters"), int),
        epochs=_number(beside.get("epochs"), int),
        train_seconds=_number(beside.get("train_seconds"), float),
        cost=beside["cost"] if isinstance(beside.get("cost"), dict) else {},
        fingerprint=document["fingerprint"],
        source=document["source"],
        files={each.name: each.stat().st_size for each in names if each.is_file()},
    )


def runs_below(folder: Path) -> list[Path]:
    """Run folders at most three levels below, sorted: `runs/NAME` of a sweep, `SHOTS/SEED` of few-shot curves."""
    # Not every level: a store that lies there too may have a million files.
    patterns = ("*", "*/*", "*/*/*")
    return sorted({file.parent for pattern in patterns for file in folder.glob(f"{pattern}/{NAME}")})


def _beside(file: Path) -> dict[str, Any]:
    """`metrics.json`; nothing where there is none."""
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{file} cannot be read ({error}); `udta evaluate --out` measures again") from error
    return found if isinstance(found, dict) else {}


def _number(value: Any, kind: type[Number]) -> Number | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
