"""Writers beside each other, exchanges that fail or are killed, what lies beside a store: the good one always has its name."""

import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from made_stores import TAPS, feature, growing_layout, tree, write_missing

from udta import open_store, verify
from udta.errors import NotAStoreError, StoreBusyError, StoreError
from udta.store import StoreWriter
from udta.store._staging import Staging, staging_folder

OLD, GROWN = tuple(range(12)), (90, 91, 92, *range(12), 93)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def writer_of(path, contents, engine="zarr", if_stale="refuse"):
    layout = growing_layout(TAPS, 2, tuple(f"{content}.png" for content in contents))
    return StoreWriter(path, layout, [f"{content:064x}" for content in contents], if_stale, engine)


def write(path, contents, engine="zarr", blocks=None):
    with writer_of(path, contents, engine) as writer:
        return write_missing(writer, [f"{content:064x}" for content in contents], blocks)


def check(path, contents):
    store = open_store(path)
    assert [int(store.hashes[str(name)], 16) for name in store.ids] == list(contents)
    for tap, values in store.read(range(len(store))).items():
        for row, content in enumerate(contents):
            for view in range(2):
                np.testing.assert_array_equal(values[row, view], feature(store.taps[tap], f"{content:064x}", view))


@pytest.fixture(params=["zarr", "hdf5"])
def engine(request):
    return request.param


@pytest.fixture
def path(tmp_path, engine):
    write(tmp_path / "store", OLD, engine)
    return tmp_path / "store"


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr("udta.store._folder_lock.PATIENCE_S", 0)


@pytest.fixture
def _two_steps(monkeypatch):
    """A kernel or file system that cannot exchange two names at once."""
    monkeypatch.setattr("udta.store._staging.exchange_in_one_step", lambda *_: False)


def in_child(work):
    """Run `work` in a forked process, which `die` ends; returns its exit status."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(*_, **__):
    os._exit(9)


# --- one writer


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


# --- exchanges that fail


def test_an_exchange_that_fails_leaves_the_good_store_and_the_growth_is_not_lost(path, engine, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("udta.store._staging.exchange_in_one_step", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        write(path, GROWN, engine)
    check(path, OLD)
    monkeypatch.undo()
    assert write(path, GROWN, engine) == 0
    check(path, GROWN)


@pytest.mark.usefixtures("_two_steps")
def test_a_second_step_that_fails_gives_the_name_back(path, engine, monkeypatch):
    rename = Path.rename

    def fail(self, target):
        if self.name == "growing" and target == path:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        write(path, GROWN, engine)
    check(path, OLD)
    monkeypatch.setattr(Path, "rename", rename)
    assert write(path, GROWN, engine) == 0
    check(path, GROWN)


def test_a_store_that_took_the_name_during_a_growth_is_left_alone(path, engine, monkeypatch):
    install = Staging.finish_growth

    def replaced(work, predecessor):
        shutil.rmtree(path)
        path.mkdir()
        (path / "thesis.txt").write_text("precious")
        install(work, predecessor)

    monkeypatch.setattr(Staging, "finish_growth", replaced)
    with pytest.raises(StoreError, match="replaced by something else"):
        write(path, GROWN, engine)
    assert tree(path) == {"thesis.txt": b"precious"}


def test_a_store_that_was_removed_during_a_growth_is_there_when_the_growth_is_done(path, engine, monkeypatch):
    install = Staging.finish_growth
    monkeypatch.setattr(Staging, "finish_growth", lambda *args: (shutil.rmtree(path), install(*args)))
    write(path, GROWN, engine)
    check(path, GROWN)


# --- killed writers


def kill_points(monkeypatch):
    """By name, what in an exchange a process is killed at."""
    take_name, rename = Staging._take_name, Path.rename

    def before_the_first_step(self, target):
        return die() if target.name == "old" else rename(self, target)

    def after_the_second_step(work, successor):
        take_name(work, successor)
        die()

    return {
        "before the exchange": lambda: monkeypatch.setattr(Staging, "finish_growth", die),
        "after its intent": lambda: monkeypatch.setattr(Path, "rename", before_the_first_step),
        "between its steps": lambda: monkeypatch.setattr(Staging, "_take_name", die),
        "after its steps": lambda: monkeypatch.setattr(Staging, "_take_name", after_the_second_step),
        "before the old store is removed": lambda: monkeypatch.setattr(Staging, "_discard", die_at_the_end),
    }


def die_at_the_end(work, folder):
    if folder == work.growing:
        die()


POINTS = [
    pytest.param("before the exchange", marks=pytest.mark.slow),
    "after its intent",
    "between its steps",
    pytest.param("after its steps", marks=pytest.mark.slow),
]


@pytest.mark.usefixtures("_two_steps")
@pytest.mark.parametrize("point", POINTS)
def test_a_growth_that_is_killed_in_its_exchange_is_finished_by_the_next_writer(path, engine, monkeypatch, point):
    def killed():
        kill_points(monkeypatch)[point]()
        write(path, GROWN, engine)

    assert in_child(killed) == 9
    if point != "between its steps":
        check(path, GROWN if point == "after its steps" else OLD)
    else:
        with pytest.raises(NotAStoreError):
            open_store(path)
    assert write(path, GROWN, engine) == 0
    check(path, GROWN)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("steps", "point"),
    [
        (1, "before the old store is removed"),
        pytest.param(1, "before the exchange", marks=pytest.mark.slow),
        (2, "after its intent"),
        pytest.param(2, "after its steps", marks=pytest.mark.slow),
    ],
)
def test_a_removed_store_does_not_come_back_from_a_killed_growth(path, engine, monkeypatch, point, steps):
    def killed():
        if steps == 2:
            monkeypatch.setattr("udta.store._staging.exchange_in_one_step", lambda *_: False)
        kill_points(monkeypatch)[point]()
        write(path, GROWN, engine)

    assert in_child(killed) == 9
    shutil.rmtree(path)
    assert write(path, GROWN, engine, blocks=0) == 0
    assert not path.exists()  # a new one, into which nothing was put
    assert write(path, GROWN, engine) == len(GROWN) * 4
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_half_made_growth_never_becomes_the_store(path, engine, monkeypatch):
    def killed():
        with writer_of(path, GROWN, engine) as writer:
            write_missing(writer, [f"{content:064x}" for content in GROWN], 1)
            die()

    assert in_child(killed) == 9
    assert (staging_folder(path) / "growing").is_dir()
    shutil.rmtree(path)
    with writer_of(path, GROWN, engine) as writer:
        assert writer.is_new
        assert len(writer.missing) == 4


def test_a_half_removed_growth_is_not_continued(path, engine, monkeypatch):
    write(path, GROWN, engine, blocks=1)  # stays beside
    monkeypatch.setattr("udta.store._staging._remove", lambda folder: folder.is_dir() and die())
    assert in_child(lambda: write(path, OLD, engine)) == 9  # not wanted any more: killed while it is removed
    monkeypatch.undo()
    assert write(path, GROWN, engine) == 4 * 4
    check(path, GROWN)


# --- what is not ours


def test_folders_of_others_beside_a_store_stay(tmp_path, engine):
    names = [".s.users-own.new", ".f1.zarr.precious.new", ".s.growing", ".s.claims", ".s.deadbeef.new", ".f1.zarr.udta"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    for name in ("s", "f[1].zarr"):
        write(tmp_path / name, OLD, engine)
        write(tmp_path / name, GROWN, engine)
        check(tmp_path / name, GROWN)
    for name in names:
        assert tree(tmp_path / name) == {"thesis.txt": b"precious"}


@pytest.mark.parametrize("kind", ["another content", "another store's", "a file", "a link"])
def test_a_foreign_workplace_is_refused_and_left_as_it_is(tmp_path, kind):
    place, elsewhere = tmp_path / ".s.udta", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "a file":
        place.write_text("precious")
    elif kind == "a link":
        place.symlink_to(elsewhere)
    else:
        place.mkdir()
        (place / "growing").mkdir()
        (place / "growing" / "thesis.txt").write_text("precious")
        if kind == "another store's":
            (place / "lock").write_text('{"udta": "the folder that a writer of the store works in", "store": "t"}\n')
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="left as it is"):
        write(tmp_path / "s", OLD)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("leftover", ["nothing", "an empty folder", "an empty lock"])
def test_whatever_a_kill_leaves_of_a_workplace_is_taken_over(tmp_path, leftover):
    place = tmp_path / ".s.udta"
    if leftover != "nothing":
        place.mkdir()
    if leftover == "an empty lock":
        (place / "lock").touch()
    write(tmp_path / "s", OLD)
    check(tmp_path / "s", OLD)
    assert not place.exists()


def test_a_file_of_somebody_else_in_a_store_is_not_swept(path, engine):
    mine = path / "mine" / "notes.partial"
    mine.parent.mkdir()
    mine.write_text("precious")
    with writer_of(path, OLD, engine) as writer:
        assert writer.missing == []
    assert mine.read_text() == "precious"


# --- links, and places where nothing can be written


@pytest.mark.parametrize("change", ["made", "grown", "replaced"])
def test_a_link_to_a_store_stays_a_link(tmp_path, engine, change):
    link, real = tmp_path / "link", tmp_path / "disk" / "real"
    real.parent.mkdir()
    link.symlink_to(real)
    write(link, OLD, engine)
    if change == "grown":
        write(link, GROWN, engine)
    elif change == "replaced":
        with writer_of(link, tuple(range(50, 60)), engine, "replace") as writer:
            write_missing(writer, [f"{content:064x}" for content in range(50, 60)])
    assert link.is_symlink()
    check(real, {"made": OLD, "grown": GROWN, "replaced": tuple(range(50, 60))}[change])
    assert [entry.name for entry in real.parent.iterdir()] == ["real"]


@pytest.fixture
def _read_only(monkeypatch, path):
    def fail(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def no_folder(self, *args, **options):
        return self.is_dir() or fail()

    def open_for_reading(path, flags, *rest, **options):
        return fail() if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else real_open(path, flags, *rest, **options)

    real_open = os.open
    monkeypatch.setattr(Path, "mkdir", no_folder)
    monkeypatch.setattr(os, "open", open_for_reading)


@pytest.mark.usefixtures("_read_only")
def test_a_complete_store_on_a_read_only_disk_lacks_nothing(path, engine):
    before = tree(path)
    with writer_of(path, OLD, engine) as writer:
        assert writer.missing == []
    assert verify(path, repair=True).sound
    assert tree(path) == before
    with pytest.raises(StoreError, match="Read-only file system"):
        writer_of(path, GROWN, engine)
    with pytest.raises(StoreError, match="Read-only file system"):
        writer_of(path.with_name("other"), OLD, engine)
