"""Which trials are better: measured on the validation split, never on the test split."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from udta.adapters import Adapter
from udta.labels.options import LabelOptions
from udta.scoring import labelled_rows, view_logits
from udta.training.sweep._tasks import VALIDATION
from udta.training.sweep._trial import Status, Trial


def validation_figure(model: Adapter, trial: Trial, device: str) -> float | None:
    """The figure of the task, such as top-1, of view 0 on the validation split; None when there is none."""
    if VALIDATION not in set(trial.store.splits.tolist()):
        return None
    rows = labelled_rows(trial.store, VALIDATION)
    # From the store, not from the vectors of training: rows of the validation split are not among those.
    logits = view_logits(model, trial.store, rows, device, views=[0])[:, 0]
    return model.task.score(logits, torch.from_numpy(trial.store.labels[rows]))


def losers(trials: Sequence[Trial], keep: float) -> list[Trial]:
    """Running trials of configurations that are not among the best `keep` of those they are compared with; one always stays.

    The seeds of a configuration go on or stop together: they are repeats of one thing, of which the best one is luck; their mean
    counts. Configurations that have finished are among those compared, so that a short training is no reason to stop longer ones.
    """
    pools: dict[object, list[list[Trial]]] = defaultdict(list)
    for repeats in _configurations(trials, ("running", "finished", "diverged")):
        if any(trial.status != "diverged" for trial in repeats):
            pools[repeats[0].pool].append(repeats)
    lost = []
    for pool in pools.values():
        # Stable, so that of equals those stay that come first in the file.
        ranked = sorted(pool, key=_mean, reverse=True)
        # Rounded up: at least one goes on.
        for repeats in ranked[math.ceil(keep * len(ranked)) :]:
            lost += [trial for trial in repeats if trial.status == "running"]
    return lost


def best_trials(trials: Sequence[Trial]) -> Mapping[LabelOptions, Trial]:
    """By task: the best finished trial of the configuration that is best on average over its seeds."""
    best: dict[LabelOptions, tuple[float, Trial]] = {}
    for repeats in _configurations(trials, ("finished", "diverged")):
        finished = [trial for trial in repeats if trial.status == "finished" and trial.validation is not None]
        task, mean = repeats[0].member.labels, _mean(repeats)
        # Strictly better: of equals the first of the file, run after run.
        if finished and (task not in best or mean > best[task][0]):
            best[task] = mean, max(finished, key=_goodness)
    return {task: trial for task, (_, trial) in best.items()}


def _configurations(trials: Sequence[Trial], statuses: Collection[Status]) -> list[list[Trial]]:
    """Trials that differ in nothing but their seed, or in their name; some of these statuses."""
    found: dict[Any, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.status in statuses:
            found[trial.configuration].append(trial)
    return list(found.values())


def _mean(repeats: Sequence[Trial]) -> float:
    """A seed that diverged has 0, and so has a regression that is worse than to say the mean."""
    return sum(max(_goodness(trial), 0.0) for trial in repeats) / len(repeats)


def _goodness(trial: Trial) -> float:
    return -1.0 if trial.validation is None or trial.status == "diverged" else trial.validation
