"""One writer a store: from the first block to the end of an exchange, and for as long as a worker of it lives."""

import os
import threading

import pytest
from grown_stores import GROWN, check, die, in_child, write, writer_of
from made_stores import write_missing

from udta import verify
from udta.errors import StoreBusyError
from udta.store._staging import Staging

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("point", ["finish_growth", "_install"])
def test_nobody_else_writes_between_the_last_block_and_the_end_of_the_exchange(path, engine, monkeypatch, point):
    refused, original = [], getattr(Staging, point)

    def guarded(work, *args):
        for enter in (lambda: write(path, (*GROWN, 94), engine), lambda: verify(path, repair=True)):
            with pytest.raises(StoreBusyError, match="being written"):
                enter()
        refused.append(point)
        return original(work, *args)

    next(path.rglob("c.1.1.0*" if engine == "zarr" else "000001.h5")).write_bytes(b"something to repair")
    monkeypatch.setattr(Staging, point, guarded)
    write(path, GROWN, engine)
    assert refused
    monkeypatch.undo()
    check(path, GROWN)


def test_a_writer_that_waited_through_an_exchange_writes_the_store_that_has_the_name_now(path, engine, monkeypatch):
    waiting = threading.Event()
    monkeypatch.setattr("udta.store._folder_lock.time.sleep", lambda _: waiting.set())
    result = []
    second = threading.Thread(target=lambda: result.append(write(path, (*GROWN, 94), engine)))
    with writer_of(path, GROWN, engine) as first:
        second.start()
        assert waiting.wait(20)
        write_missing(first, [f"{content:064x}" for content in GROWN])
    second.join(20)
    assert result == [4]  # one image in two views of two taps: the grown store was there
    check(path, (*GROWN, 94))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.usefixtures("_impatient")
def test_the_lock_is_held_for_as_long_as_a_worker_of_a_killed_writer_lives(path, engine):
    ours, theirs = os.pipe()

    def killed_with_a_worker():
        writer = writer_of(path, GROWN, engine)
        if not os.fork():
            os.close(theirs)
            os.read(ours, 1)  # the worker ends when the test lets it
            os._exit(0)
        assert writer.lock_descriptor
        die()

    assert in_child(killed_with_a_worker) == 9
    with pytest.raises(StoreBusyError):
        writer_of(path, GROWN, engine)
    os.close(theirs)
    os.close(ours)
