"""The watching thread, and what an interruption says."""

import os
import signal
import sys
import threading

import pytest

from udta._console.interruption import IfInterrupted, Interruption


@pytest.fixture
def ended(monkeypatch):
    """Statuses that the process would have ended with."""
    statuses, event = [], threading.Event()

    def end(status):
        statuses.append(status)
        event.set()

    monkeypatch.setattr("udta._console.interruption._GRACE_S", 0.02)
    monkeypatch.setattr(os, "_exit", end)
    before, hook = signal.signal(signal.SIGINT, signal.default_int_handler), sys.unraisablehook

    def wait():
        event.wait(10)
        return statuses

    yield wait
    for thread in threading.enumerate():  # before it is the real `_exit` again that they call
        if thread.name == "udta-interruption":
            thread.join()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, before)
    sys.unraisablehook = hook


def test_who_does_not_stop_is_ended_from_outside_with_all_notes(ended):
    told, tidied = [], []
    interruption = Interruption(told.extend, lambda: tidied.append(1))
    with interruption, IfInterrupted(lambda: "outer"), IfInterrupted(lambda: ""), IfInterrupted(lambda: 1 / 0):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as a finaliser drops it
            signal.raise_signal(signal.SIGINT)  # and a second one does nothing any more
        assert ended()[0] == 130
    assert told == ["outer"]
    assert tidied


def test_who_stops_takes_its_notes_along(ended):
    told = []
    with Interruption(told.extend, lambda: None) as interruption:
        with pytest.raises(KeyboardInterrupt) as caught, IfInterrupted(lambda: "kept"):
            signal.raise_signal(signal.SIGINT)
        interruption.say(caught.value.__notes__)
        interruption.say(["twice"])
    assert told == ["kept"]
    assert ended()[0] == 130


def test_an_undisturbed_command_leaves_signals_as_they_were(ended):
    with Interruption(lambda notes: None, lambda: None) as interruption:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert not interruption.came
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1
