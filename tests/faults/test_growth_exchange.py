"""A grown store takes the place of the old one: exchanges that fail or are killed; the good one always has its name."""

import errno
import shutil
from pathlib import Path

import pytest
from grown_stores import GROWN, OLD, check, die, in_child, write, writer_of
from made_stores import tree, write_missing

from udta import open_store
from udta.errors import NotAStoreError, StoreError
from udta.store._staging import Staging, staging_folder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


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
