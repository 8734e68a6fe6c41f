"""The stages of a project's dvc.yaml, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udta.project.running import Result


@dataclass(frozen=True)
class StageEntry:
    """Where a stage is, as `module:function`, and the lists of `run` that it takes a name of each of."""

    path: str
    tables: tuple[str, ...] = ()

    @property
    def function(self) -> Callable[..., Result]:
        """It; its module is imported now, and most of them import torch."""
        found: Callable[..., Result] = resolve_name(f"{__package__}.{self.path}")
        return found


STAGES: Mapping[str, StageEntry] = {
    "check": StageEntry("check_stage:check"),
    "prepare": StageEntry("prepare_stage:prepare", ("datasets",)),
    "extract": StageEntry("extract_stage:extract", ("backbones", "datasets")),
    "train": StageEntry("train_stage:train", ("backbones", "datasets")),
    "evaluate": StageEntry("evaluate_stage:evaluate", ("backbones", "datasets", "adapters")),
    "report": StageEntry("report_stage:report"),
}
