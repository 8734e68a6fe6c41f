"""What a long call is doing now, for whoever listens: named phases with counts.

A phase may hold others: a run of `fewshot` holds the phases of a training. What is deep inside calls `announce`, which costs
nothing where nobody listens, so that no callback is handed down through all that lies between.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

# What is counted, such as "views read"; how many are done; of how many; a word more.
Listener = Callable[[str, int, int, str], None]
Given = ParamSpec("Given")
Result = TypeVar("Result")
# A context variable, not a global: threads of one program may train at the same time, each with a listener of its own (PEP 567).
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Inside, and in this thread, `announce` calls `listener`; None leaves things as they are."""
    if listener is None:  # `train` called by `fewshot` has none of its own, and is heard by that one's
        yield
        return
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def announce(phase: str, done: int, total: int, note: str = "") -> None:
    """Say that `done` of `total` are done; a phase that holds others begins with 0, and every phase ends with `total`."""
    listener = _listener.get()
    if listener is not None:
        listener(phase, done, total, note)


def heard(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function whose keyword `on_phase` listens while it works."""

    @functools.wraps(function)
    def call(*arguments: Given.args, **options: Given.kwargs) -> Result:
        on_phase: Any = options.get("on_phase")
        with listening(on_phase):
            return function(*arguments, **options)

    return call
