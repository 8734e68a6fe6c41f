"""A log that TensorBoard shows beside others: loss and accuracy by epoch, and at the end the settings with the figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from udta.adapters import Adapter, Recipe
from udta.errors import ConfigError
from udta.training._learner import EpochResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_OF_TRAINING = ("loss", "accuracy", "lr")


class RunLog:
    """The log of one run, in a folder of its own; of None nothing is written. A context that ends it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, earlier: Iterable[EpochResult] = ()) -> None:
        """Before the first epoch of this process, with those that an interrupted one has done."""
        if self._folder is None:
            return
        # Everything from step 0 on takes the place of what an earlier process logged here: TensorBoard passes that over.
        self._writer = _summary_writer()(str(self._folder), purge_step=0)
        for result in earlier:
            self.epoch(result)

    def epoch(self, result: EpochResult) -> None:
        """One more is done."""
        if self._writer is not None:
            for name in _OF_TRAINING:
                self._writer.add_scalar(f"train/{name}", getattr(result, name), result.epoch)
            self._writer.flush()  # people watch it grow

    def end(self, model: Adapter, recipe: Recipe, seed: int, metrics: Mapping[str, Any]) -> None:
        """The figures of the test split after the last epoch, beside everything that was set."""
        if self._writer is None:
            return
        from torch.utils.tensorboard.summary import hparams

        figures = {f"test/{name}": value for name, value in metrics.items() if isinstance(value, float)}
        settings = {"adapter": model.name, "seed": seed, **model.options, **asdict(recipe)}
        # Not `add_hparams`, which makes a run of its own of them.
        plain = {name: _plain(value) for name, value in settings.items()}
        for summary in hparams(plain, figures):  # type: ignore[no-untyped-call]
            self._writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        for name, value in figures.items():
            self._writer.add_scalar(name, value, recipe.epochs)

    def close(self) -> None:
        """What was logged is on the disk."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def check_tensorboard(folder: Path | None) -> None:
    """Raises `ConfigError` where a log is asked for and the package that writes it is missing."""
    if folder is not None:
        _summary_writer()


def _summary_writer() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("a log for TensorBoard needs tensorboard: pip install 'udta[tensorboard]'") from error
    return SummaryWriter


def _plain(value: Any) -> bool | str | float | int:
    """TensorBoard's table of settings takes these alone."""
    return value if isinstance(value, bool | str | float | int) else json.dumps(value)
