"""The formats by name: what `--to` may be."""

from __future__ import annotations

from pkgutil import resolve_name

from udta.errors import ConfigError, did_you_mean
from udta.exporting.formats.format import Format
from udta.exporting.formats.store import store_format
from udta.store import ENGINES

# Paths instead of imports, so that a format is one line here.
_FORMATS = (
    "parquet:PARQUET",
    "npy:NPY",
    "safetensors:SAFETENSORS",
)

# A store can be written by every engine there is, so that engines need no line.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        *(resolve_name(f"{__package__}.{path}") for path in _FORMATS),
        *(store_format(engine) for engine in ENGINES),
    )
}


def find_format(name: str) -> Format:
    """The format of this name. Raises `ConfigError` for an unknown one."""
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}: {did_you_mean(name, FORMATS)}")
    return FORMATS[name]
