"""The files in which the datasets list their images: lines of text, and MATLAB variables."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from udta.errors import ConfigError, DataError


def read_lines(path: Path) -> list[str]:
    """The lines of UTF-8 text that are not empty, without surrounding white space."""
    return [line.strip() for line in _content(path).decode().splitlines() if line.strip()]


def read_pairs(path: Path) -> dict[str, str]:
    """Lines `key value`, where only the value may have spaces.

    Raises:
        ValueError: a line without a value.
    """
    pairs = {}
    for line in read_lines(path):
        key, space, value = line.partition(" ")
        if not space:
            raise ValueError(f"{path.name} has the line {line!r} without a value")
        pairs[key] = value.strip()
    return pairs


def read_mat(path: Path, variable: str) -> Any:
    """A variable of a MATLAB file as a one-dimensional array: numbers, texts (a cell array), or records (a struct array).

    Raises:
        ConfigError: scipy is not installed.
        DataError: no MATLAB file, or damaged.
        KeyError: no such variable.
    """
    try:
        from scipy.io import loadmat  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(f"reading {path} needs scipy: pip install 'udta[repro]'") from error
    content = io.BytesIO(_content(path))
    try:
        variables = loadmat(content, squeeze_me=True, variable_names=[variable])
    except (
        Exception
    ) as error:  # ValueError, TypeError, OSError, zlib.error, NotImplementedError: it depends on the damage
        raise DataError(f"{path} is damaged or no MATLAB file ({error or type(error).__name__})") from error
    return np.atleast_1d(variables[variable])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
