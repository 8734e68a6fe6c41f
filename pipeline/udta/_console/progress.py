"""What a long call is doing now, for whoever listens: named phases with counts.

A phase may hold others: a run of `fewshot` holds the phases of a training. What is deep inside calls `announce`, which costs
nothing where nobody listens, so that no callback is handed down through all that lies between.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from udta._console._notebook import in_notebook

# What is counted, such as "views read"; how many are done; of how many; a word more.
Listener = Callable[[str, int, int, str], None]
Progress = bool | Listener | None
"""What the keyword `progress` of a long call may be: True shows a bar on a terminal, in a notebook, or lines in a log; a function
is called with what is counted, how many are done, of how many, and a word more; False is silent; None, the default, shows a
bar in a notebook alone."""
Given = ParamSpec("Given")
Result = TypeVar("Result")
# A context variable, not a global: threads of one program may train at the same time, each with a listener of its own (PEP 567).
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Inside, and in this thread, `announce` calls `listener`, or nobody."""
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


def announcer(phase: str) -> Callable[[int, int, str], None] | None:
    """`announce` of one phase to who listens in this thread, for other threads to call; None where nobody listens."""
    listener = _listener.get()
    return None if listener is None else functools.partial(listener, phase)


def watched(unit: str) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A decorator of a long call: its keyword `progress` says who listens while it works, see `Progress`.

    Args:
        unit: the phase whose bar stays on the screen, and whose last line stands in every log.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        @functools.wraps(function)
        def call(*arguments: Given.args, **options: Given.kwargs) -> Result:
            with _heard(unit, options.get("progress")):
                return function(*arguments, **options)

        return call

    return decorate


@contextmanager
def _heard(unit: str, asked: object) -> Iterator[None]:
    # `train` that `fewshot` calls is asked for nothing, and is heard by whoever listens to that one.
    silent = asked is None and (_listener.get() is not None or not in_notebook())
    inner: AbstractContextManager[None] = nullcontext()
    if callable(asked):
        inner = listening(asked)
    elif asked is False:
        inner = listening(None)
    elif not silent:
        from udta._console.display import ProgressDisplay

        with ProgressDisplay(unit) as display, listening(display):
            yield
        return
    with inner:
        yield
