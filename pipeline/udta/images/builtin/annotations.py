"""The files in which the datasets list their images: lines of text, MATLAB variables, and what torchvision parses for us."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
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
    require_scipy(path)
    from scipy.io import loadmat  # type: ignore[import-untyped]

    content = io.BytesIO(_content(path))
    try:
        variables = loadmat(content, squeeze_me=True, variable_names=[variable])
    except (
        Exception
    ) as error:  # ValueError, TypeError, OSError, zlib.error, NotImplementedError: it depends on the damage
        raise DataError(f"{path} is damaged or no MATLAB file ({error or type(error).__name__})") from error
    return np.atleast_1d(variables[variable])


def require_scipy(path: Path) -> None:
    """Raises `ConfigError` where scipy is not installed, which reads MATLAB files such as the one at `path`."""
    try:
        import scipy.io  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"reading {path} needs scipy: pip install 'udta[repro]'") from error


def read_by_torchvision(dataset: str, base: Path, folder: str, splits: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Path relative to `base`, class name and split of every image that a class of `torchvision.datasets` finds; none is opened.

    Args:
        dataset: name of the class; its images must go through an argument `loader`, which torchvision 0.22 has for most sets.
        base: where the files are.
        folder: what torchvision calls that folder.
        splits: names of its splits, in the order in which their images are wanted.

    Raises:
        DataError: annotations that torchvision cannot read.
        LookupError, TypeError, ValueError: annotations that contradict each other.
    """
    # 3 s where nothing has loaded torchvision yet, so not at the top: most images are not of these sets.
    from torchvision import datasets

    # torchvision looks for `folder` in a root and takes no other name; here the files may lie in a folder of any name.
    with TemporaryDirectory(prefix="udta-") as root:
        link = Path(root, folder)
        link.symlink_to(base.absolute())
        for split in splits:
            try:
                # A `loader` that gives the path back, since where images are is not public otherwise.
                found = getattr(datasets, dataset)(root, split, loader=str)
            except (LookupError, TypeError, ValueError):
                raise
            except Exception as error:  # OSError, RuntimeError, and whatever SciPy raises on a damaged file
                raise DataError(
                    f"{base}: the annotations of the split {split} cannot be read ({error or type(error).__name__})"
                ) from error
            for path, number in (found[index] for index in range(len(found))):
                yield Path(path).relative_to(link).as_posix(), found.classes[number], split


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
