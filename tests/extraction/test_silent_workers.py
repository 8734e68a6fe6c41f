"""A worker that was stopped is waited for, since it may go on, but never without a word."""

from queue import Empty

import pytest

from udta.extraction import Meter
from udta.extraction._meter import ProgressCounter
from udta.extraction._workers import Silence, _listen

SIGN = {"rows": 0, "seconds": {}, "images": 0, "bytes": 0}
SILENT = "worker 1 (process 1234) has not answered for 60 s"


class Clock:
    """Stands still unless a queue is asked in vain."""

    seconds = 0.0

    def __call__(self):
        return self.seconds


class Events:
    """A queue with what comes, one after another; a number of seconds is a wait in vain."""

    def __init__(self, clock, *what):
        self.clock, self.what = clock, list(what)

    def get(self, timeout):
        event = self.what.pop(0)
        if isinstance(event, float):
            self.clock.seconds += event
            raise Empty
        return event


def listen(counter, *what):
    clock = Clock()
    return _listen(Silence([77, 1234], clock=clock), Events(clock, *what), Meter(), counter)


def test_a_stopped_worker_is_named_until_it_goes_on():
    said = []
    counter = ProgressCounter(lambda done, total, note: said.append((done, note)), 64, Meter())
    done = {**SIGN, "rows": 32, "seconds": {"forward": 1.0}}
    rows = listen(
        counter,
        *[(0, done), (1, SIGN), 55.0, (0, SIGN), 5.0],  # 1 is silent for 60 s
        *[(1, done), (0, None), (1, None)],
    )
    assert rows == 64
    assert [(done, SILENT in note) for done, note in said] == [(32, False), (32, True), (32, False), (64, False)]
    assert "kill -CONT" in next(note for _, note in said if SILENT in note)


def test_nobody_is_named_who_has_ended_or_is_heard_of():
    said = []
    counter = ProgressCounter(lambda done, total, note: said.append(note), 64, Meter())
    listen(counter, (1, None), 59.0, (0, SIGN), 59.0, (0, SIGN), 59.0, (0, None))
    assert said == []


def test_without_a_progress_display_it_is_a_warning():
    with pytest.warns(RuntimeWarning, match="has not answered"):
        listen(ProgressCounter(None, 0, Meter()), 61.0, 61.0, (0, None), (1, None))
