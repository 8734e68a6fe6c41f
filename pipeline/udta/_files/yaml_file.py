"""Reading YAML that people write, with an answer at once whatever stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from udta.errors import ConfigError

# A settings file has some kilobytes. PyYAML reads a megabyte in a second where it has libyaml.
MOST_BYTES = 2**20
# Aliases let ten lines stand for 10^10 values, which whatever walks through the document would visit one by one.
MOST_VALUES = 1_000_000
# Never `yaml.load` with its own loader: a tag such as `!!python/object` runs code (https://pyyaml.org/wiki/PyYAMLDocumentation).
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(path: Path) -> Any:
    """What a YAML file says, built of plain Python values alone.

    Raises:
        ConfigError: it cannot be read, is no YAML, too large, nested too deeply, or stands for too many values.
    """
    try:
        with path.open("rb") as file:
            content = file.read(
                MOST_BYTES + 1
            )  # one more than there may be: no size has to be asked for, which a pipe lacks
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from error
    return parse_yaml(content, path)


def parse_yaml(content: bytes, path: Path) -> Any:
    """The same of a text that the file has or will have."""
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes, which no settings file needs")
    try:
        document = yaml.load(content, Loader=_LOADER)  # the safe one
        values = _values(document, {})
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML ({error})") from error
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply, or an alias stands for what it is in") from None
    if values > MOST_VALUES:
        raise ConfigError(f"{path}: its aliases stand for {values:,} values; at most {MOST_VALUES:,} are read")
    return document


def _values(document: object, known: dict[int, int]) -> int:
    """How many values a walk through the document would meet; an object that several aliases stand for is counted for each."""
    if not isinstance(document, dict | list):
        return 1
    if id(document) not in known:
        inner = document.values() if isinstance(document, dict) else document
        known[id(document)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(document)]
