"""Which trials are better: measured on the validation split, never on the test split."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from udta.adapters import Adapter
from udta.evaluation import labelled_rows
from udta.loader import FeatureLoader
from udta.sweeping.tasks import VALIDATION
from udta.sweeping.trial import Trial

_BATCH = 64


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
    with torch.inference_mode():
        correct = sum(int((model(batch.taps).argmax(1) == batch.labels).sum()) for batch in loader)
    return correct / len(loader.rows)


def losers(trials: Sequence[Trial], keep: float) -> list[Trial]:
    """Running trials that are not among the best `keep` of those that are compared with them; one always stays.

    Trials that have finished count among the best, so that a short training is no reason to stop longer ones early.
    """
    pools: dict[object, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.status in ("running", "finished") and trial.validation is not None:
            pools[trial.pool].append(trial)
    lost = []
    for pool in pools.values():
        ranked = sorted(pool, key=_goodness, reverse=True)
        lost += [trial for trial in ranked[math.ceil(keep * len(ranked)) :] if trial.status == "running"]
    return lost


def best_trials(trials: Sequence[Trial]) -> Mapping[Path | None, Trial]:
    """The best finished trial of each task, by its table of labels."""
    best: dict[Path | None, Trial] = {}
    for trial in trials:
        if trial.status == "finished" and trial.validation is not None:
            other = best.get(trial.member.labels)
            if other is None or _goodness(trial) > _goodness(other):
                best[trial.member.labels] = trial
    return best


def _goodness(trial: Trial) -> float:
    return -1.0 if trial.validation is None else trial.validation
