"""`auto`: cross-validates a few adapters on the training rows alone, and picks the one to train on all of them.

A fold is a set of images: all views of an image are in the same one, and so are files with the same bytes. Every candidate
is trained as it would be otherwise and measured as `udta evaluate` does. With three folds a candidate costs about two trainings
on the whole split (three on two thirds of it). No row outside the ones given is ever read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from udta._console.progress import announce
from udta.adapters import ADAPTERS, AdapterOptions, find_adapter
from udta.adapters.recipe_values import AFTERWARDS
from udta.errors import ConfigError, Problems, did_you_mean
from udta.scoring import view_answers
from udta.store import Store
from udta.tasks import find_task
from udta.training.loop import fit
from udta.training.sources import build, training_sources

AUTO = "auto"
_CHOOSING = "candidates cross-validated"
# Cheap ones first, as of equals the first is picked. `ranpac` takes about as long as `linear`, and on textures it is ahead of all
# others (docs/family.md). `gda` is behind `udta` or `ranpac` wherever it was measured, and its time grows with the cube of the
# channels of all taps; `knn`, `head2toe`, `attentive` and `ladder` have to be asked for as well.
CANDIDATES = ("ridge", "ranpac", "linear", "concat_linear", "udta")


class AutoOptions(AdapterOptions):
    """Options of `auto`."""

    candidates: list[str] = Field(
        list(CANDIDATES),
        min_length=1,
        description="Adapters with their default options, cheap ones first: of equals the first is picked.",
    )
    folds: int = Field(3, ge=2, le=20, description="Parts of the training images, each of which is left out once.")


@dataclass(frozen=True)
class Score:
    """A candidate on the images left out: the task's `figure` of view 0, of all views averaged, and of view 0 by fold.

    `beside` are other figures, which decide nothing: `top1` picks, whatever a recipe makes up for rare classes.
    """

    adapter: str
    figure: str
    value: float
    of_views: float
    beside: Mapping[str, float]
    by_fold: tuple[float, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """By the name of the figure: `top1`, `top1_views`, `top1_by_fold`."""
        figures = {self.figure: self.value, f"{self.figure}_views": self.of_views, **self.beside}
        return {
            "adapter": self.adapter,
            **figures,
            f"{self.figure}_by_fold": list(self.by_fold),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Score:
        """The inverse of `to_json`."""
        [figure] = [name.removesuffix("_by_fold") for name in document if name.endswith("_by_fold")]
        names = ("adapter", figure, f"{figure}_views", f"{figure}_by_fold", "seconds")
        adapter, value, of_views, by_fold, seconds = (document[name] for name in names)
        beside = {name: each for name, each in document.items() if name not in names}
        return cls(adapter, figure, value, of_views, beside, tuple(by_fold), seconds)


@dataclass(frozen=True)
class Selection:
    """What was `picked` of the `table`, and in how many folds it was measured."""

    picked: str
    folds: int
    table: tuple[Score, ...]

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {"picked": self.picked, "folds": self.folds, "table": [score.to_json() for score in self.table]}


def select(
    store: Store,
    rows: np.ndarray,
    *,
    options: Mapping[str, Any],
    recipe: Mapping[str, Any],
    seed: int = 0,
    device: str = "cpu",
    on_score: Callable[[Score], None] | None = None,
) -> Selection:
    """Cross-validate the candidates on `rows`.

    Args:
        store: where the features are.
        rows: labelled training rows, the only ones that are looked at.
        options: fields of `AutoOptions`.
        recipe: what shall differ from every candidate's recipe; closed forms have none.
        seed: of the folds and of every training.
        device: where to train.
        on_score: called after every candidate.

    Raises:
        ConfigError: wrong options or recipe, or fewer images than folds; every problem is listed.
    """
    settings = auto_options(options, recipe)
    # The same folds for all: candidates are compared on the same images.
    folds = assign_folds(store, rows, settings.folds, seed)
    table = []
    for number, candidate in enumerate(settings.candidates):
        announce(_CHOOSING, number, len(settings.candidates), candidate)
        table.append(_cross_validate(candidate, store, rows, folds, recipe, seed, device))
        if on_score:
            on_score(table[-1])
    announce(_CHOOSING, len(table), len(table))
    return Selection(best(table).adapter, settings.folds, tuple(table))


def best(table: Sequence[Score]) -> Score:
    """The highest figure; of equals, the highest of all views, then the first."""
    # `max` keeps the first of equals, and cheap ones come first.
    return max(table, key=lambda score: (score.value, score.of_views))


def assign_folds(store: Store, rows: np.ndarray, n_folds: int, seed: int) -> Int64[np.ndarray, " rows"]:
    """The fold of every row: stratified by class where there are such, files with the same bytes together.

    Raises:
        ConfigError: there are fewer different images than folds.
    """
    # By content: a copy of an image that is left out would give its class away.
    _, first, image = np.unique([store.hashes[id_] for id_ in store.ids[rows]], return_index=True, return_inverse=True)
    if len(first) < n_folds:
        raise ConfigError(f"{len(first)} different image(s) cannot be cross-validated in {n_folds} folds")
    shuffled = np.random.default_rng(seed).permutation(len(first))
    # A stable sort of a shuffle: classes one after the other, at random within. Dealt out like cards, every fold has its share
    # of each class, and sizes differ by one at the most.
    strata = find_task(store.task).strata(store.labels[rows])
    by_class = shuffled[np.argsort(strata[first][shuffled], kind="stable")]
    folds = np.empty(len(first), dtype=np.int64)
    folds[by_class] = np.arange(len(first)) % n_folds
    assigned: np.ndarray = folds[image]
    return assigned


def recipe_changes(adapter: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a recipe that is asked of all candidates concerns this one."""
    # A closed form refuses what concerns steps, but `auto --epochs 20` means those candidates that are trained by steps.
    closed = find_adapter(adapter).closed_form
    return {name: value for name, value in changes.items() if name in AFTERWARDS or not closed}


def auto_options(options: Mapping[str, Any], recipe: Mapping[str, Any]) -> AutoOptions:
    """The options of `auto`; raises `ConfigError`, also for a recipe that a candidate cannot have."""
    problems = Problems()
    settings = AutoOptions.checked(options, f"adapter {AUTO!r}")
    for candidate in settings.candidates:
        if candidate not in ADAPTERS:
            problems.add(f"adapter {AUTO!r}: there is no candidate {candidate!r}: {did_you_mean(candidate, ADAPTERS)}")
    problems.raise_any()
    # Before the first candidate is trained, not after the third: a recipe that one of them refuses is told at once.
    for candidate in settings.candidates:
        find_adapter(candidate).recipe_with(recipe_changes(candidate, recipe))
    return settings


def _cross_validate(
    adapter: str,
    store: Store,
    rows: np.ndarray,
    folds: Int64[np.ndarray, " rows"],
    recipe: Mapping[str, Any],
    seed: int,
    device: str,
) -> Score:
    started = time.perf_counter()
    settings = find_adapter(adapter).recipe_with(recipe_changes(adapter, recipe))
    # What each image is predicted by the fold that left it out: one table of all images, measured as a test split would be.
    answers = np.empty((len(rows), store.n_views, len(store.classes)), dtype=np.float32)
    task = find_task(store.task)
    by_fold = []
    for fold in range(int(folds.max()) + 1):
        model, left_out = build(adapter, store, {}, seed), folds == fold
        loader, every_view = training_sources(model, store, rows[~left_out], settings, seed, device)
        fit(model, loader, recipe=settings, every_view=every_view, seed=seed, device=device)
        answers[left_out] = view_answers(model, store, rows[left_out], device)
        found = task.metrics(answers[left_out], store.labels[rows[left_out]], store.classes)
        by_fold.append(found[task.figure])
    metrics = task.metrics(answers, store.labels[rows], store.classes)
    value, of_views = metrics[task.figure], metrics[f"{task.figure}_views"]
    beside = {name: metrics[name] for name in task.beside}
    return Score(adapter, task.figure, value, of_views, beside, tuple(by_fold), time.perf_counter() - started)
