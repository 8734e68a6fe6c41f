"""Two writers of one output: one is refused clearly, and a killed one holds nobody up."""

import os
import threading

import pytest

import udta
from udta._files.locks import lock_path, one_writer
from udta.errors import OutputBusyError


def test_a_second_writer_is_refused_and_told_who_has_it(tmp_path):
    with one_writer(tmp_path / "out"):
        with pytest.raises(OutputBusyError, match=rf"out is being written .*process {os.getpid()}"):
            one_writer(tmp_path / "out", patience_s=0).__enter__()
        with one_writer(tmp_path / "other", patience_s=0):  # nobody else's
            pass
    assert not list(tmp_path.iterdir())
    with one_writer(tmp_path / "out", patience_s=0):
        pass


def test_several_outputs_are_held_at_once(tmp_path):
    with one_writer(tmp_path / "b.csv", tmp_path / "a.json", tmp_path / "b.csv"):
        for name in ("a.json", "b.csv"):
            with pytest.raises(OutputBusyError, match=name):
                one_writer(tmp_path / "0", tmp_path / name, patience_s=0).__enter__()
    assert not list(tmp_path.iterdir())


def test_who_waits_gets_it_when_the_holder_is_done(tmp_path):
    got, holding = threading.Event(), one_writer(tmp_path / "out")
    holding.__enter__()

    def wait():
        with one_writer(tmp_path / "out", patience_s=60):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.is_set()
    holding.__exit__(None, None, None)
    waiting.join(60)
    assert got.is_set()
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads; the child uses none
def test_what_a_killed_writer_left_is_taken_over(tmp_path):
    child = os.fork()
    if not child:
        holding = one_writer(tmp_path / "out")
        holding.__enter__()
        os._exit(9)
    os.waitpid(child, 0)
    assert lock_path(tmp_path / "out").exists()
    with one_writer(tmp_path / "out", patience_s=0):
        pass
    assert not list(tmp_path.iterdir())


def test_the_name_that_is_locked_may_be_replaced_meanwhile(tmp_path):
    (tmp_path / "out").mkdir()
    with one_writer(tmp_path / "out"):
        (tmp_path / "out").rename(tmp_path / "old")
        (tmp_path / "out").mkdir()
        with pytest.raises(OutputBusyError):
            one_writer(tmp_path / "out", patience_s=0).__enter__()


def test_a_planted_link_is_refused(tmp_path):
    lock_path(tmp_path / "out").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        one_writer(tmp_path / "out", patience_s=0).__enter__()
    assert not (tmp_path / "victim").exists()


def test_a_refused_or_failed_writer_leaves_no_empty_folders(tmp_path):
    with one_writer(tmp_path / "a" / "b" / "out"):
        pass
    assert not list(tmp_path.iterdir())
    with one_writer(tmp_path / "a" / "b" / "out"):
        (tmp_path / "a" / "b" / "out").touch()
    assert (tmp_path / "a" / "b" / "out").exists()


VERBS = {
    "train": (("out",), lambda path: udta.train("absent.zarr", out=path)),
    "sweep": (("out",), lambda path: udta.sweep("absent.zarr", adapters={}, out=path)),
    "fewshot": (("out",), lambda path: udta.fewshot("absent.zarr", out=path)),
    "predict": (("out",), lambda path: udta.predict("absent", adapters=["absent"], out=path)),
    "export": (("out",), lambda path: udta.export("absent.zarr", to="npy", out=path)),
}


@pytest.mark.parametrize("verb", [*VERBS, "evaluate out", "evaluate predictions", "evaluate confusion"])
def test_every_verb_is_the_one_writer_of_what_it_writes(tmp_path, monkeypatch, verb):
    monkeypatch.setattr("udta._files.locks.PATIENCE_S", 0.0)
    name, _, argument = verb.partition(" ")
    call = VERBS[name][1] if name in VERBS else lambda path: udta.evaluate("run", "absent.zarr", **{argument: path})
    with one_writer(tmp_path / "x.csv"), pytest.raises(OutputBusyError, match=r"x\.csv"):
        call(tmp_path / "x.csv")
    with pytest.raises(udta.UdtaError, match="absent"):  # it is free again
        call(tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())
