"""Which trials are better: measured on the validation split, never on the test split."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from udta.adapters import Adapter
from udta.labels.options import LabelOptions
from udta.loader import FeatureLoader
from udta.scoring import labelled_rows
from udta.training.sweep._tasks import VALIDATION
from udta.training.sweep._trial import Status, Trial

_BATCH = 64  # of evaluation: no result depends on it


def validation_top1(model: Adapter, trial: Trial, device: str) -> float | None:
    """Top-1 of view 0 on the validation split, a fraction; None when there is none."""
    if VALIDATION not in set(trial.store.splits.tolist()):
        return None
    loader = FeatureLoader(
        trial.store,
        rows=labelled_rows(trial.store, VALIDATION),
        taps=model.taps_used,
        batch_size=_BATCH,
        shuffle=False,
        views=0,
        device=device,
        dtype=trial.store.value_dtype,
    )
    # From the store, not from the vectors of training: rows of the validation split are not among those.
    with torch.inference_mode():
        correct = sum(int((model(batch.taps).argmax(1) == batch.labels).sum()) for batch in loader)
    return correct / len(loader.rows)


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
    """A seed that diverged has 0."""
    return sum(max(_goodness(trial), 0.0) for trial in repeats) / len(repeats)


def _goodness(trial: Trial) -> float:
    return -1.0 if trial.validation is None or trial.status == "diverged" else trial.validation
