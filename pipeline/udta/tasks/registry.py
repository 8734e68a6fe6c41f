"""Tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name

from udta.errors import ConfigError, did_you_mean
from udta.tasks.task import Task

# Paths instead of imports, so that a task is one line here.
_CLASSES = (
    "multiclass:Multiclass",
    "multilabel:Multilabel",
    "regression:Regression",
)

TASKS: Mapping[str, Task] = {task.name: task() for task in (resolve_name(f"{__package__}.{path}") for path in _CLASSES)}


FIGURE_NAMES: Mapping[str, str] = {task.figure: task.figure_name for task in TASKS.values()}
"""How people write the figures that adapters are compared by."""


def find_task(name: str) -> Task:
    """The task of this name.

    Raises:
        ConfigError: there is none; the nearest names are given.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}: {did_you_mean(name, TASKS)}")
    return TASKS[name]
