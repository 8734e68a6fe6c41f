"""The reducers by name, in the order in which messages list them."""

from __future__ import annotations

from pkgutil import resolve_name

from udta.backbones.reducers.reduction import Reduction

# Paths instead of imports, so that a reducer is one line here.
_CLASSES = (
    "none:Whole",
    "grid:Grid",
    "avg:Average",
    "cls:ClassToken",
    "registers:Registers",
    "tokens:Patches",
)

REDUCERS: dict[str, type[Reduction]] = {
    reduction.name: reduction for reduction in (resolve_name(f"{__package__}.{path}") for path in _CLASSES)
}
