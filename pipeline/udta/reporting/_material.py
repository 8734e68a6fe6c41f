"""What a report is made of: runs by setting, the best first, and what they say of the test images of their store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from udta._console.progress import announce
from udta._console.terminal import one_line
from udta.errors import AdapterError, UdtaError
from udta.evaluation.outcome import Outcome, outcome_of
from udta.labels import with_labels
from udta.reporting._runs import Found, Run, Setting
from udta.reporting._thumbnails import Thumbnails
from udta.scoring import labelled_rows
from udta.store import Store, open_store

MOST_RUNS = 8  # of a setting, of which details are shown: as many as there are colours


@dataclass(frozen=True)
class Judged:
    """A run, and what it says of the labelled rows of a split of its store, in view 0."""

    run: Run
    store: Store
    rows: np.ndarray
    outcome: Outcome


@dataclass
class Compared:
    """The runs of a setting by their figure, the best first; `judged` those of them whose store could be opened.

    `title` says of the setting what is not the same of all.
    """

    setting: Setting
    title: str
    runs: list[Run]
    judged: list[Judged] = field(default_factory=list)
    thumbnails: Thumbnails | None = None

    @property
    def best(self) -> Run:
        """The one with the highest figure."""
        return self.runs[0]


@dataclass
class Material:
    """Everything that sections are made of; `missing` are sentences on what is not there, `compare` two runs asked for."""

    settings: list[Compared]
    few_shots: list[dict[str, Any]]
    stores: list[Store]
    missing: list[str]
    split: str
    device: str
    seed: int = 0
    compare: tuple[Run, Run] | None = None
    images: str | Path | None = None
    inspect: bool = False

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of the colour of an adapter's name: those that have the better places come first."""
        places: dict[str, list[int]] = {}
        for each in self.settings:
            for run in each.runs:
                # Equals share a place.
                place = sum(_rank(other)[0] < _rank(run)[0] for other in each.runs)
                places.setdefault(run.name, []).append(place)
        order = sorted(places, key=lambda name: (-len(places[name]), float(np.mean(places[name])), name))
        return {name: number for number, name in enumerate(order)}


def gather_material(found: Found, split: str, device: str, images: str | Path | None) -> Material:
    """Have the adapters judge the test images of their stores, where these can be opened."""
    by_setting: dict[Setting, list[Run]] = {}
    for run in found.runs:
        by_setting.setdefault(run.setting, []).append(run)
    material = Material([], found.few_shots, list(found.stores), list(found.missing), split, device, images=images)
    done, total = 0, len(found.runs)
    with_backbone = len({setting.backbone for setting in by_setting}) > 1
    for setting in sorted(by_setting):
        runs = sorted(by_setting[setting], key=_rank)
        compared = Compared(setting, setting.titled(with_backbone), runs)
        for run in runs:
            announce("runs", done, total)
            done += 1
            # All that lack figures; else as many as there is room for in the details.
            if run.value is None or len(compared.judged) < MOST_RUNS:
                judged = _judge(run, found, material)
                compared.judged += [judged] if judged else []
        compared.runs.sort(key=_rank)
        compared.judged.sort(key=lambda judged: _rank(judged.run))
        if compared.judged:
            compared.thumbnails = Thumbnails(compared.judged[0].store, images)
        material.settings.append(compared)
    twice = Counter(each.title for each in material.settings)
    for each in material.settings:
        each.title += f" ({each.setting.task})" * (twice[each.title] > 1)
    if total:
        announce("runs", total, total)
    return material


def _rank(run: Run) -> tuple[float, str]:
    return (-run.value if run.value is not None else float("inf"), run.name)


def _judge(run: Run, found: Found, material: Material) -> Judged | None:
    """What the run says of its store; where there is none, a sentence says so."""
    if run.header is None:
        return None
    try:
        store = _with_its_labels(run, _store_of(run, found.stores), found)
        rows = labelled_rows(store, material.split)
        lacks = run.value is None
        outcome = outcome_of(run.path, store, rows, material.device, "all" if lacks else [0])
    except (UdtaError, OSError) as error:
        material.missing.append(f"{run.path}: its details are not shown: {one_line(error)}")
        return None
    if lacks:
        run.metrics.update(outcome.metrics(material.seed))
        run.evaluated = True
        material.missing.append(
            f"{run.path}: it had no figures of split {material.split!r}; those here were measured for this report"
        )
    if store.path not in {each.path for each in material.stores}:
        material.stores.append(store)
    return Judged(run, store, rows, outcome)


def _store_of(run: Run, stores: Sequence[Store]) -> Store:
    """The store among those given that holds its features, or the one that its `metrics.json` names.

    Raises:
        AdapterError: there is none; why the nearest does not fit stands in the message.
    """
    assert run.header is not None
    hint = run.metrics.get("store")
    images = run.header.source.get("images")
    near = [store for store in stores if store.source.get("images") == images] or list(stores)
    # Given by the user first; then where it was trained, by a name out of a file: it is opened for reading, and must fit.
    if isinstance(hint, str) and "://" not in hint and not any(str(store.path) == hint for store in stores):
        try:
            near.append(open_store(hint))
        except UdtaError as error:
            if not near:
                raise AdapterError(f"its store cannot be opened ({error}); give the store among the folders") from error
    problems = []
    for store in near:
        try:
            run.header.check(store.fingerprint, f"store {str(store.path)!r}")
            return store
        except AdapterError as error:
            problems.append(str(error))
    raise AdapterError(problems[0] if problems else "nothing says where its store is; give the store among the folders")


def _with_its_labels(run: Run, store: Store, found: Found) -> Store:
    """The store under the labels that the run was trained with."""
    assert run.header is not None
    source = run.header.training.get("labels")
    if not isinstance(source, dict) or not source:
        return store
    file = found.label_files.get(str(source.get("sha256")))
    if file is None:
        raise AdapterError(f"it was trained with the labels of {source.get('file')}; give that file among the folders")
    return with_labels(
        store,
        file,
        column=",".join(map(str, source.get("columns", ()))),
        task=run.header.task,
        classes=run.header.classes,
    )
