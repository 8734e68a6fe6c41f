"""One adapter of a sweep on its way: what it is trained on, and how far it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from udta.adapters import Adapter
from udta.errors import ConfigError, Problems
from udta.labels import with_labels
from udta.labels.options import LabelOptions
from udta.scoring import labelled_rows
from udta.store import Store
from udta.training._imbalance import Balance, check_balance
from udta.training._learner import EpochResult
from udta.training.sources import build
from udta.training.sweep._spec import Member
from udta.training.sweep._tasks import TRAIN, with_label_fraction, with_taps, with_validation

Status = Literal["running", "finished", "stopped", "diverged"]


# By identity: two entries of a file may be equal in everything.
@dataclass(eq=False)
class Trial:
    """`store` is what the adapter sees of the store, `rows` what it is trained on, `seconds` its share of the time so far.

    `validation` is the task's figure, such as top-1, of view 0 on the validation split, when last measured.
    """

    member: Member
    store: Store
    rows: np.ndarray
    model: Adapter
    status: Status = "running"
    history: list[EpochResult] = field(default_factory=list)
    seconds: float = 0.0
    validation: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pool(self) -> tuple[LabelOptions, float]:
        """Trials are compared within the same task and share of labels only."""
        return self.member.labels, self.member.label_fraction

    @property
    def configuration(self) -> tuple[Any, ...]:
        """Trials with the same one differ in their seed alone."""
        # The model's options, not those of the file: what is left out there may be given elsewhere as its default.
        return (
            self.model.name,
            repr(sorted(self.model.options.items())),
            tuple(self.model.taps),
            self.member.settings,
            *self.pool,
        )

    @property
    def closed_form(self) -> bool:
        """Whether it is solved at once instead of trained by steps."""
        return self.model.closed_form

    @property
    def order_key(self) -> bytes:
        """Trials of the same rows, seed and batch size with the same one see their rows in the same order."""
        # Balanced sampling draws by class: two tasks over the same rows have orders of their own.
        return self.store.labels[self.rows].tobytes() if self.member.settings.sampling == "balanced" else b""

    @property
    def balance(self) -> Balance:
        """What its recipe makes up for rare classes."""
        return Balance.of(self.member.settings, self.store.labels[self.rows], self.store.classes)

    def record(self) -> dict[str, Any]:
        """What changes, as JSON."""
        return {
            "status": self.status,
            "history": [asdict(result) for result in self.history],
            "seconds": self.seconds,
            "validation": self.validation,
            "metrics": dict(self.metrics),
        }

    def restore(self, record: Mapping[str, Any]) -> None:
        """The inverse of `record`."""
        self.status, self.seconds, self.validation = record["status"], record["seconds"], record["validation"]
        self.metrics = record["metrics"]
        self.history = [EpochResult(**result) for result in record["history"]]


def pool_key(trial: Trial) -> tuple[Any, ...]:
    """Trials with the same key are solved alike, so that they pool features to the same vectors."""
    model = trial.model
    # Contents, not names: two tasks or shares with the same rows and labels are solved once.
    labels = trial.store.labels[trial.rows].tobytes() if model.solves_labels else None
    return model.name, repr(sorted(model.options.items())), tuple(model.taps.items()), trial.rows.tobytes(), labels


def make_trials(store: Store, members: Sequence[Member], *, validation: float, seed: int) -> list[Trial]:
    """Every trial at its beginning.

    Raises:
        ConfigError: unknown taps, wrong options, label tables that do not fit, classes too small; every problem is listed.
        DataError: a label table cannot be read.
    """
    problems, trials = Problems(), []
    tasks: dict[LabelOptions, Store | None] = {}
    shares: dict[tuple[LabelOptions, float], Store] = {}
    for member in members:
        labels, fraction = member.labels, member.label_fraction
        if labels not in tasks:
            tasks[labels] = problems.collect(_task, store, labels, validation, seed)
        task = tasks[labels]
        if task is None:
            continue
        # Once for all adapters of a share: they must be compared on the same images.
        if (labels, fraction) not in shares:
            shares[labels, fraction] = with_label_fraction(task, fraction, seed)
        trial = problems.collect(_trial, shares[labels, fraction], member)
        trials += [] if trial is None else [trial]
    # A table that cannot be read is told once, not for each adapter that wants it.
    problems.found = list(dict.fromkeys(problems.found))
    problems.raise_any()
    return trials


def _task(store: Store, labels: LabelOptions, validation: float, seed: int) -> Store:
    task = with_labels(store, **labels.model_dump())
    labelled_rows(task, TRAIN)
    return with_validation(task, validation, seed) if validation else task


def _trial(store: Store, member: Member) -> Trial:
    try:
        seen = with_taps(store, member.taps)
        check_balance(member.settings, seen)
        model = build(member.adapter, seen, member.options, member.seed)
    except ConfigError as error:
        raise ConfigError([f"adapters.{member.name}: {problem}" for problem in error.problems]) from error
    return Trial(member, seen, labelled_rows(seen, TRAIN), model)
