"""What the arguments of a loader mean for a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from udta.errors import ConfigError, did_you_mean
from udta.store import Store

DTYPES = ("float16", "float32", "bfloat16")
SAMPLINGS = ("uniform", "balanced")


def view_choice(store: Store, views: str | int | Sequence[int]) -> Literal["random"] | int | list[int]:
    """What `views` means for a store; raises `ConfigError`."""
    if isinstance(views, str):
        if views == "random":
            return "random"
        if views == "all":
            return list(range(store.n_views))
        raise ConfigError(
            f"views is {views!r}: {did_you_mean(views, ['random', 'all'])} A number or a list of numbers is fine too"
        )
    # A number drops the view axis, a list of one keeps it.
    chosen = [int(views)] if isinstance(views, int | np.integer) else [int(view) for view in views]
    store.check_views(chosen)
    return chosen[0] if isinstance(views, int | np.integer) else chosen


def distinct_views(store: Store, views: Literal["random"] | int | list[int] | None) -> list[int]:
    """The views that the batches of a choice may hold, ascending."""
    if views == "random":
        return list(range(store.n_views))  # whichever will be drawn in later epochs
    return np.unique(np.array(views)).tolist()  # type: ignore[no-any-return]


def class_mask(store: Store, classes: Sequence[str] | None) -> np.ndarray | None:
    """Which rows of a store are of these classes; raises `ConfigError`."""
    if classes is None:
        return None
    unknown = [name for name in classes if name not in store.classes]
    if unknown:
        raise ConfigError(
            [f"{store.path} has no class {name!r}: {did_you_mean(name, store.classes)}" for name in unknown]
        )
    mask: np.ndarray = np.isin(store.labels, [store.classes.index(name) for name in classes])
    return mask


def dtype_name(dtype: str | torch.dtype | None) -> str | None:
    """The name of a type that features can be delivered in; raises `ConfigError`."""
    # `torch.float16` and "float16" alike.
    name = None if dtype is None else str(dtype).removeprefix("torch.")
    if name is not None and name not in DTYPES:
        raise ConfigError(f"dtype is {name!r}: {did_you_mean(name, DTYPES)}")
    return name


def checked_sampling(sampling: str, labels: np.ndarray, *, shuffle: bool) -> str:
    """The sampling of rows with these labels; raises `ConfigError`."""
    if sampling not in SAMPLINGS:
        raise ConfigError(f"sampling is {sampling!r}: {did_you_mean(sampling, SAMPLINGS)}")
    if sampling == "balanced" and not shuffle:
        raise ConfigError("sampling is 'balanced', which is a way to shuffle: give shuffle=True too")
    if sampling == "balanced" and (labels.ndim > 1 or (labels < 0).any()):
        raise ConfigError("sampling is 'balanced', but not every row has one class: choose rows that have")
    return sampling
