"""What lies beside a store: of others it stays, of ours it is taken over; links stay links, and disks may be read-only."""

import errno
import os
from pathlib import Path

import pytest
from grown_stores import GROWN, OLD, check, write, writer_of
from made_stores import tree, write_missing

from udta import verify
from udta.errors import StoreError


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
def test_a_foreign_staging_folder_is_refused_and_left_as_it_is(tmp_path, kind):
    folder, elsewhere = tmp_path / ".s.udta", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "a file":
        folder.write_text("precious")
    elif kind == "a link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        (folder / "growing").mkdir()
        (folder / "growing" / "thesis.txt").write_text("precious")
        if kind == "another store's":
            (folder / "lock").write_text('{"udta": "the folder that a writer of the store works in", "store": "t"}\n')
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="left as it is"):
        write(tmp_path / "s", OLD)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("leftover", ["nothing", "an empty folder", "an empty lock"])
def test_whatever_a_kill_leaves_of_a_staging_folder_is_taken_over(tmp_path, leftover):
    folder = tmp_path / ".s.udta"
    if leftover != "nothing":
        folder.mkdir()
    if leftover == "an empty lock":
        (folder / "lock").touch()
    write(tmp_path / "s", OLD)
    check(tmp_path / "s", OLD)
    assert not folder.exists()


def test_a_file_of_somebody_else_in_a_store_is_not_swept(path, engine):
    mine = path / "mine" / "notes.partial"
    mine.parent.mkdir()
    mine.write_text("precious")
    with writer_of(path, OLD, engine) as writer:
        assert writer.missing == []
    assert mine.read_text() == "precious"


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
