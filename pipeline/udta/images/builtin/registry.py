"""The built-in datasets by name."""

from __future__ import annotations

from pkgutil import resolve_name

from udta.images.builtin.dataset import Builtin

# Names of modules instead of imports, so that a dataset is one line here.
_MODULES = (
    "aircraft",
    "cars",
    "cub200",
    "dogs",
    "flowers102",
    "food101",
    "pets",
)

BUILTIN: dict[str, Builtin] = {
    dataset.name: dataset for dataset in (resolve_name(f"{__package__}.{module}:DATASET") for module in _MODULES)
}
