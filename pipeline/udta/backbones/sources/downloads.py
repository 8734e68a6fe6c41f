"""Whether anything may be downloaded just now: not while a backbone is built because a data file names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A context variable, as of `announce`: in another thread of the program, a user may be asking for a download meanwhile.
_forbidden_by: ContextVar[str] = ContextVar("forbidden_by", default="")


@contextmanager
def no_downloads(who: str) -> Iterator[None]:
    """Inside, sources take what is on this machine; `who` is the file that the name of the backbone comes from."""
    token = _forbidden_by.set(who)
    try:
        yield
    finally:
        _forbidden_by.reset(token)


def forbidden_by() -> str:
    """Who names what is built, where nothing may be downloaded for it; else empty."""
    return _forbidden_by.get()
