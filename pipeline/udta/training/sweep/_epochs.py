"""The epochs of a sweep, and what becomes of its trials between them."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from udta._files.atomic import write_text
from udta._machine.cores import one_thread
from udta._machine.device import own_randomness
from udta.adapters import Adapter, load_adapter
from udta.scoring import labelled_rows, view_logits
from udta.store import Store
from udta.training._checkpoint import below
from udta.training._learner import Learner
from udta.training._run_folder import HISTORY_COLUMNS, history_line
from udta.training._run_report import leave_run
from udta.training._tensorboard import RunLog
from udta.training.cost import shared_cost
from udta.training.loop import set_temperature, take_steps
from udta.training.sources import VECTORS, Training, build, training_sources
from udta.training.sweep._group import Group, form_groups
from udta.training.sweep._halving import losers, validation_figure
from udta.training.sweep._sharing import SharedBatches, solve
from udta.training.sweep._spec import Halving
from udta.training.sweep._tasks import VALIDATION
from udta.training.sweep._trial import Trial
from udta.training.train import train

# Buffers that steps change; all others of an adapter were solved before the first one.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class SweepLoop:
    """All trials with the groups that they are trained in; `epoch` is the last one that was done."""

    def __init__(
        self,
        store: Store,
        trials: Sequence[Trial],
        halving: Halving | None,
        runs: Path,
        seed: int,
        device: str,
        logs: Path | None = None,
    ) -> None:
        self.trials, self.epoch = trials, 0
        self._halving, self._runs, self._seed, self._device = halving, runs, seed, device
        self.epochs = max((trial.member.settings.epochs for trial in trials if not trial.closed_form), default=0)
        self.groups: list[Group] = []
        self._batches, self._solving = SharedBatches(store, device), 0.0
        self._folder, self._logs = logs, dict[str, RunLog]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for log in self._logs.values():
            log.close()

    def begin(self, states: Mapping[str, Mapping[str, Tensor]] | None = None) -> None:
        """Form the groups of the trials that are running, from their states after `epoch`; at first they are solved."""
        started = time.perf_counter()
        stepped = [trial for trial in self.trials if not trial.closed_form and trial.status == "running"]
        if states:
            for trial in stepped:
                # Before groups are formed, which copy the parameters of their trials.
                trial.model.load_state_dict(below("adapter/", states[trial.member.name]))
        else:
            solve(stepped, self._device)
        self.groups = form_groups(
            stepped, lambda trial: self._batches.vectors(trial) is not None, self._device, self.epoch
        )
        if states:
            for group in self.groups:
                for number, trial in enumerate(group.trials):
                    group.load(number, states[trial.member.name], group.progress)
        # Directions are found here; the first epoch is charged for it, whose seconds are shared among all.
        self._solving = time.perf_counter() - started

    @property
    def active(self) -> int:
        """How many adapters are being trained."""
        return sum(len(group.trials) for group in self.groups)

    def solve(self) -> bool:
        """Train every closed form that is not done, as `train` does it; whether there was one."""
        solved = False
        for trial in self.trials:
            if trial.closed_form and trial.status == "running":
                run, member = self._runs / trial.member.name, trial.member
                report = train(
                    trial.store,
                    out=run,
                    adapter=member.adapter,
                    options=member.options,
                    recipe=member.recipe,
                    seed=member.seed,
                    device=self._device,
                    tensorboard=self._folder,
                )
                trial.metrics, trial.seconds, trial.status = report.metrics, report.seconds, "finished"
                trial.validation = validation_figure(load_adapter(run)[0].to(self._device), trial, self._device)
                solved = True
        return solved

    def train_epoch(self) -> None:
        """The steps of the next epoch; every trial gets its share of the time."""
        self.epoch += 1
        started, spent = time.perf_counter() - self._solving, dict[Learner, float]()
        self._solving = 0.0
        groups = [group for group in self.groups if group.trials]
        # A seed for each epoch: adapters that draw in their steps go on in the same way whether or not the sweep was killed.
        with own_randomness(_epoch_seed(self._seed, self.epoch), torch.device(self._device)):
            for alike, batches in self._batches.epoch(self.epoch, groups):
                with one_thread(max(group.flops for group in alike)):
                    spent |= take_steps(alike, batches)
        # Reading, pooling and solving are shared evenly; the steps are those of each group.
        common = (time.perf_counter() - started - sum(spent.values())) / max(self.active, 1)
        for group in groups:
            for trial, result in zip(group.trials, group.epoch_results(), strict=True):
                trial.seconds += common + spent[group] / len(group.trials)
                trial.history.append(replace(result, seconds=trial.seconds))
                self._log(trial).epoch(trial.history[-1])
                # The others go on: no number of theirs came near it.
                if not np.isfinite(result.loss):
                    trial.status = "diverged"
            group.progress.next_epoch()

    def settle(self) -> None:
        """After an epoch: finish those trials whose last one it was, and stop losers where it is time to."""
        for group in self.groups:
            for trial in group.trials:
                if trial.status == "running" and trial.member.settings.epochs == self.epoch:
                    self._finish(trial, group.model(trial))
        # After those that end now: they are compared with the others, and are not stopped any more.
        if self._halving and self.epoch in self._halving.epochs(self.epochs):
            self._stop_losers(self._halving.keep)
        for group in self.groups:
            group.pick([trial for trial in group.trials if trial.status == "running"])

    def _finish(self, trial: Trial, model: Adapter) -> None:
        run, member = self._runs / trial.member.name, trial.member
        run.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HISTORY_COLUMNS, *map(history_line, trial.history)])
        write_text(run / "history.csv", text.getvalue())
        self._set_temperature(trial, model)  # before it is measured: calibration errors are of the divided logits
        training = Training(model, trial.store, trial.rows, member.settings, member.seed)
        report = leave_run(run, training, shared_cost(trial.seconds, torch.device(self._device)))
        trial.metrics, trial.validation = report.metrics, validation_figure(model, trial, self._device)
        trial.status = "finished"
        with self._log(trial) as log:
            log.end(model, member.settings, member.seed, report.metrics)

    def _log(self, trial: Trial) -> RunLog:
        """That of a trial, which begins with the epochs that it has behind it."""
        name = trial.member.name
        if name not in self._logs:
            self._logs[name] = RunLog(self._folder and self._folder / name)
            self._logs[name].begin(trial.history[:-1])
        return self._logs[name]

    def _set_temperature(self, trial: Trial, model: Adapter) -> None:
        """With thresholds, from the validation split where there is one, otherwise as single training does it."""
        if not model.task.calibrated:
            return
        if VALIDATION in set(trial.store.splits.tolist()):
            rows = labelled_rows(trial.store, VALIDATION)
            logits = view_logits(model, trial.store, rows, self._device, views=[0])[:, 0]
            labels = torch.from_numpy(trial.store.labels[rows])
            model.calibrate(logits, labels, trial.balance.importance)
            return
        member, vectors = trial.member, self._batches.vectors(trial)
        device, recipe = torch.device(self._device), member.settings
        loader, every = training_sources(model, trial.store, trial.rows, recipe, member.seed, device)
        if vectors is not None:
            loader.hold({VECTORS: vectors})
        like = build(member.adapter, trial.store, member.options, member.seed).to(device)
        # As it was before its first step: built from its seed again, with what was solved and without what steps have counted.
        solved = {name: value for name, value in model.state_dict().items() if name in dict(model.named_buffers())}
        counted = {name for name in solved if name.endswith(_STATISTICS)}
        like.load_state_dict({**like.state_dict(), **{name: solved[name] for name in solved.keys() - counted}})
        set_temperature(model, like, loader, recipe, every, member.seed, device, pooled=vectors is not None)

    def _stop_losers(self, keep: float) -> None:
        for group in self.groups:
            for trial in group.trials:
                if trial.status == "running":
                    trial.validation = validation_figure(group.model(trial), trial, self._device)
        for trial in losers(self.trials, keep):
            trial.status = "stopped"


def identity(store: Store, trials: Sequence[Trial], options: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides a sweep's results, as JSON: two with the same identity may continue each other."""
    data = hashlib.sha256()
    for trial in trials:
        data.update("\0".join((trial.store.task, *trial.store.classes)).encode())
        # Splits too: which rows are held back decides what is best.
        for values in (trial.rows, trial.store.labels, trial.store.splits):
            data.update(np.ascontiguousarray(values).tobytes())
    return {
        **options,
        "adapters": {trial.member.name: trial.member.to_json() for trial in trials},
        "features": dict(store.fingerprint.fields),
        "rows": data.hexdigest(),
    }


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
