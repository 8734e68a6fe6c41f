"""Adapters by name, in the order in which lists show them: our own, then those it is compared with, then closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from udta._machine.imported import Imported
from udta.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from udta.adapters.base import Adapter

# Paths instead of imports, so that an adapter is one line here; its module has its name.
_CLASSES = (
    "udta:Udta",
    "attentive:Attentive",
    "ladder:Ladder",
    "head2toe:Head2Toe",
    "concat_linear:ConcatLinear",
    "linear:Linear",
    "ridge:Ridge",
    "ranpac:Ranpac",
    "gda:Gda",
    "knn:Knn",
)


ADAPTERS: Mapping[str, type[Adapter]] = Imported(__package__, {path.partition(":")[0]: path for path in _CLASSES}, str)


def find_adapter(name: str) -> type[Adapter]:
    """The adapter class of this name.

    Raises:
        ConfigError: there is none; the nearest names are given.
    """
    if name not in ADAPTERS:
        raise ConfigError(f"there is no adapter {name!r}: {did_you_mean(name, ADAPTERS)}")
    return ADAPTERS[name]


def build_adapter(name: str, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> Adapter:
    """A new adapter with random initial weights (seed torch first for the same ones).

    Args:
        name: a key of `ADAPTERS`.
        taps: shape of one view of one sample by tap, in execution order.
        n_classes: width of the logits.
        **options: the adapter's own options, JSON values, and `task`, a key of `udta.tasks.TASKS`, `multiclass` by default.

    Raises:
        ConfigError: unknown name, unknown or wrong options, shapes no adapter can read; every problem is listed.
    """
    return find_adapter(name)(taps, n_classes, **options)
