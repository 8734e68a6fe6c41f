"""Ctrl-C ends the command within a second, whatever it is doing.

Python raises KeyboardInterrupt between two of its own instructions. A forward pass of a large network, a decomposition or a wait
for threads is one instruction of seconds, so a thread watches: what has not ended soon after the signal is ended from there. That
is what a kill does, which every file of ours survives (`udta._files.atomic`), with a message and without leftovers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Seconds after the signal until the process is ended, and those that messages and removing leftovers may take then.
_GRACE_S, _FAREWELL_S = 0.5, 0.3
STATUS = 128 + signal.SIGINT  # as a shell has it

# What can be said of what is left, the outermost first: for the watching thread, which has no exception with notes.
_notes: list[Callable[[], str]] = []


class IfInterrupted:
    """A context in which an interruption is told with a note: of the exception (PEP 678), or where it is not waited for.

    Args:
        note: makes it when it is wanted; empty where there is nothing to say.
    """

    def __init__(self, note: Callable[[], str]) -> None:
        self._note = note

    def __enter__(self) -> None:
        _notes.append(self._note)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        _notes.remove(self._note)
        # A note and no line of its own: it stands below the error, whoever prints that.
        if isinstance(error, KeyboardInterrupt) and (text := self._note()):
            error.add_note(text)


class Interruption:
    """A context in which the first SIGINT raises KeyboardInterrupt, and no other disturbs the tidying up that it begins.

    Args:
        farewell: called once with the notes, by whichever thread ends the process.
        tidy_up: removes what is half made, where there is no time to let it be removed by who makes it.
    """

    def __init__(self, farewell: Callable[[list[str]], None], tidy_up: Callable[[], None]) -> None:
        self.came = False
        self._farewell, self._tidy_up, self._said = farewell, tidy_up, threading.Lock()
        self._watched: int | None = None

    def __enter__(self) -> Interruption:
        # Elsewhere signals are somebody else's: a program that calls us in a thread, a shell that runs us in the background.
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            ours, self._watched = os.pipe()
            os.set_blocking(self._watched, False)
            signal.signal(signal.SIGINT, self._raise)
            # Written to when the signal arrives, before Python has time for it.
            signal.set_wakeup_fd(self._watched, warn_on_full_buffer=False)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
            threading.Thread(target=self._watch, args=[ours], name="udta-interruption", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.came:
            # Not by way of the interpreter's own end, which waits for threads, and for the last collection of garbage: 2 s with
            # torch half imported.
            self._tidy_up()
            os._exit(STATUS)
        if self._watched is not None:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = self._hook
            os.close(self._watched)

    def say(self, notes: list[str]) -> None:
        """The farewell, if nobody has said it."""
        if self._said.acquire(blocking=False):
            self._farewell(notes)

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        if not self.came:
            self.came = True
            raise KeyboardInterrupt

    def _unraisable(self, found: Any) -> None:
        # Raised in a finaliser, where Python drops it with a traceback: the work goes on until the watching thread ends it.
        if not isinstance(found.exc_value, KeyboardInterrupt):
            self._hook(found)

    def _watch(self, signals: int) -> None:
        while (arrived := os.read(signals, 64)) and signal.SIGINT not in arrived:
            pass
        if not arrived:  # closed: the command has ended
            os.close(signals)
            return
        threading.Event().wait(_GRACE_S)
        # What it calls may wait for the thread that does not answer.
        last = threading.Thread(target=self._end, daemon=True)
        last.start()
        last.join(_FAREWELL_S)
        os._exit(STATUS)

    def _end(self) -> None:
        self._tidy_up()
        told = []
        for note in tuple(_notes):
            with contextlib.suppress(Exception):  # of things that are in the middle of a change
                told.append(note())
        self.say(list(filter(None, told)))
