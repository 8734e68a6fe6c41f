"""What to train: a YAML file of named entries, each of which may stand for many adapters."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from udta._files.validation import Options
from udta._files.yaml_file import load_yaml
from udta.adapters import ADAPTERS, Recipe, find_adapter
from udta.adapters.recipe_values import CLASS_WEIGHTS
from udta.errors import ConfigError, Problems
from udta.labels.options import LabelOptions
from udta.training.options import AdapterSettings
from udta.training.sweep._tasks import task_names

# Each leaves a run folder, and all of them are trained side by side.
MOST_MEMBERS = 10_000
_Fraction = Annotated[float, Field(gt=0, le=1)]
# YAML has no way to write an empty mapping but `{}`; an empty entry means the same.
_Mapping = BeforeValidator(lambda value: value or {})


class Grid(Options):
    """Lists of values instead of one; their product is trained. The fields are those of an entry."""

    adapter: list[str] = Field(default=[])
    options: Annotated[dict[str, list[Any]], _Mapping] = Field(default={})
    recipe: Annotated[dict[str, list[Any]], _Mapping] = Field(default={})
    taps: list[list[str]] = Field(default=[])
    label_fraction: list[_Fraction] = Field(default=[])
    labels: list[Path] = Field(default=[])
    column: list[str] = Field(default=[])


class Entry(LabelOptions, AdapterSettings):
    """One adapter, or a grid of them.

    `options` and `recipe` are as in `udta train`; one adapter is trained for each of `seeds`. `taps`: what it may read, all by
    default. `label_fraction`: the share of each class that it is trained on. `labels`, `column`, `task` and `separator`: another
    task over the same images, as in `udta train`; one without `labels` of its own has those that are given for all.
    """

    seeds: list[int] = Field(default=[0], min_length=1)
    taps: list[str] | None = None
    label_fraction: _Fraction = 1.0
    grid: Annotated[Grid, _Mapping] = Grid()


class Halving(Options):
    """Successive halving: at each of `rungs` moments, the best `keep` of the adapters go on and the others are stopped."""

    rungs: int = Field(default=3, ge=1, le=10)
    keep: float = Field(default=0.5, gt=0, lt=1)

    def epochs(self, last: int) -> list[int]:
        """After which epochs losers are stopped: `last` keep, `last` keep^2 and so on, in ascending order."""
        # A set, because of few epochs several rungs are the same one; never the last, after which all are done anyway.
        return sorted({max(1, round(last * self.keep**rung)) for rung in range(1, self.rungs + 1)} - {last})


class SweepFile(Options):
    """The whole file."""

    adapters: dict[str, Annotated[Entry, _Mapping]] = Field(min_length=1)
    validation: float = Field(default=0.2, ge=0, lt=1)
    halving: Halving | None = None

    @field_validator("adapters", mode="before")
    @classmethod
    def _called_as_adapters(cls, entries: Any) -> Any:
        """Who writes `linear: {}` means `linear`, whatever the default is."""
        if not isinstance(entries, Mapping):
            return entries
        return {
            name: {"adapter": name, **(entry or {})} if name in ADAPTERS and isinstance(entry or {}, Mapping) else entry
            for name, entry in entries.items()
        }


@dataclass(frozen=True)
class Member:
    """One adapter of a sweep: `recipe` is what differs from the adapter's own, `settings` the whole of it."""

    name: str
    adapter: str
    options: Mapping[str, Any]
    recipe: Mapping[str, Any]
    settings: Recipe
    seed: int
    taps: tuple[str, ...] | None
    label_fraction: float
    labels: LabelOptions

    def to_json(self) -> dict[str, Any]:
        """Everything that decides it."""
        return {**asdict(self), "labels": self.labels.model_dump(mode="json")}


def load_file(path: Path) -> SweepFile:
    """Read and check the file.

    Raises:
        ConfigError: it is not there, not YAML, or wrong in any number of places; all of them are listed.
    """
    return parse(load_yaml(path), str(path))


def parse(document: Any, where: str) -> SweepFile:
    """Check what a YAML file holds; `where` names it in messages.

    Raises:
        ConfigError: it is no mapping, or wrong in any number of ways; all of them are listed.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(f"{where}: is empty or no mapping; it needs a table `adapters`")
    return SweepFile.checked(document, where, "setting")


def expand(file: SweepFile, where: str, folder: Path, labels: LabelOptions) -> list[Member]:
    """Every adapter that the file stands for, in its order; paths in it are relative to `folder`.

    `labels` are those of entries without some of their own.

    Raises:
        ConfigError: unknown adapters or recipe fields, impossible values, two adapters of one name; every problem is listed.
    """
    problems, members = Problems(), []
    # Counted before they are made: three lists of 1,000 values are four lines of YAML and a billion adapters.
    most = sum(len(entry.seeds) * math.prod(map(len, _axes(entry).values())) for entry in file.adapters.values())
    if most > MOST_MEMBERS:
        raise ConfigError(
            f"{where}: its seeds and grids stand for {most:,} adapters; a sweep trains {MOST_MEMBERS:,} at the most: take fewer"
        )
    for name, entry in file.adapters.items():
        for varied, chosen in _product(entry):
            for seed in entry.seeds:
                suffix = [*varied, *([f"seed={seed}"] if len(entry.seeds) > 1 else [])]
                called = "-".join([name, *suffix])
                asked = _labels(entry, chosen, folder, labels)
                found = problems.collect(_member, called, entry, chosen, seed, asked, folder)
                members += [] if found is None else [found]
    problems.found = list(dict.fromkeys(f"{where}: {problem}" for problem in problems.found))
    # Each name is a folder, and two adapters in one would overwrite each other.
    names = Counter(member.name for member in members)
    for name in sorted(name for name, times in names.items() if times > 1):
        problems.add(f"{where}: two adapters would be named {name!r}: seeds and values of a grid must differ")
    problems.raise_any()
    return members


def _axes(entry: Entry) -> dict[tuple[str, ...], Sequence[Any]]:
    """The values by field that an entry's grid combines."""
    axes: dict[tuple[str, ...], Sequence[Any]] = {}
    for field in ("adapter", "taps", "label_fraction", "labels", "column"):
        axes[field,] = getattr(entry.grid, field)
    for field in ("options", "recipe"):
        axes |= {(field, key): values for key, values in getattr(entry.grid, field).items()}
    return {where: values for where, values in axes.items() if values}  # an empty list varies nothing


def _product(entry: Entry) -> Iterator[tuple[list[str], dict[tuple[str, ...], Any]]]:
    """Every combination of an entry's grid: what to call it, and the values by field."""
    axes = _axes(entry)
    tasks = {
        task.labels: name for task, name in task_names(LabelOptions(labels=file) for file in entry.grid.labels).items()
    }
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        called = {where: tasks[value] if isinstance(value, Path) else _label(value) for where, value in chosen.items()}
        yield [f"{where[-1]}={text}" for where, text in called.items()], chosen


def _label(value: Any) -> str:
    """A value as part of a folder's name."""
    return re.sub(r"[^\w.+=-]", "_", "+".join(map(str, value)) if isinstance(value, list) else str(value))


def _labels(entry: Entry, chosen: Mapping[tuple[str, ...], Any], folder: Path, given: LabelOptions) -> LabelOptions:
    """What an adapter is taught: what its entry says, and where that names no file of labels, what was given for all."""
    names = LabelOptions.model_fields
    own = {name: value for name, value in entry.model_dump(exclude_unset=True).items() if name in names}
    own |= {where[0]: value for where, value in chosen.items() if where[0] in names}
    if own.get("labels") is not None:
        own["labels"] = folder / own["labels"]
    return LabelOptions(**own if "labels" in own else {**given.model_dump(), **own})


def _member(
    name: str, entry: Entry, chosen: Mapping[tuple[str, ...], Any], seed: int, labels: LabelOptions, folder: Path
) -> Member:
    problems = Problems()
    # Names come out of a file: none may lead out of `runs/`, be hidden, or be longer than file systems take (255 bytes).
    if not re.fullmatch(r"[\w+=][\w.+=-]{0,199}", name):
        problems.add(f"adapters.{name}: a name becomes a folder: letters, digits and . _ + = - only, 200 at the most")
    values = {field: chosen.get((field,), getattr(entry, field)) for field in ("adapter", "taps", "label_fraction")}
    options, recipe = (
        {
            **getattr(entry, field),
            **{key[1]: value for key, value in chosen.items() if key[0] == field and len(key) == 2},
        }
        for field in ("options", "recipe")
    )
    weights = recipe.get("class_weights")
    if isinstance(weights, str) and weights not in CLASS_WEIGHTS:  # a file, beside that of the sweep as all others
        recipe["class_weights"] = str(folder / weights)
    found = problems.collect(find_adapter, values["adapter"])
    changed = None if found is None else problems.collect(found.recipe_with, recipe)
    if problems.found:
        raise ConfigError(
            [f"adapters.{name}: {problem.removeprefix(f'adapters.{name}: ')}" for problem in problems.found]
        )
    assert changed is not None
    return Member(
        name,
        values["adapter"],
        options,
        recipe,
        changed,
        seed,
        None if values["taps"] is None else tuple(values["taps"]),
        values["label_fraction"],
        labels,
    )
