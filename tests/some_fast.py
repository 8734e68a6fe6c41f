"""Parameters of which a few stand for all in the fast tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def some_fast(values: Iterable[Any], *fast: Any) -> list[Any]:
    """`values` for `parametrize`, tuples where it has several names; those that are not `fast` are slow."""
    return [value if value in fast else _slow(*value if isinstance(value, tuple) else (value,)) for value in values]


def _slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)
