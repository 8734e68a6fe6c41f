"""Files and folders appear whole or not at all; what killed writers left is swept, and nothing else is touched."""

import os
import stat

import pytest

from udta._files.atomic import is_temporary, new_file, new_folder, sweep, temporary_name, write_bytes, write_json


@pytest.fixture
def umask():
    """Sets the umask for a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def killed_in(context, target):
    """A child that dies within the context; what it left lies there."""
    child = os.fork()
    if not child:
        with context(target) as made:
            if target.suffix:
                made.write(b"half")
            else:
                (made / "half").write_bytes(b"half")
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def fail_within(context, target):
    with context(target) as made:
        if target.suffix:
            made.write(b"half")
        else:
            (made / "half").write_bytes(b"half")
        assert not target.exists() or target.read_bytes() == b"before"
        raise ZeroDivisionError


def test_a_failure_leaves_what_was_there(tmp_path):
    write_bytes(tmp_path / "p.csv", b"before")
    with pytest.raises(ZeroDivisionError):
        fail_within(new_file, tmp_path / "p.csv")
    with pytest.raises(ZeroDivisionError):
        fail_within(new_folder, tmp_path / "out")
    assert names(tmp_path) == ["p.csv"]
    assert (tmp_path / "p.csv").read_bytes() == b"before"


@pytest.mark.parametrize(("mask", "file_mode", "folder_mode"), [(0o022, 0o644, 0o755), (0o007, 0o660, 0o770)])
def test_permissions_obey_the_umask(tmp_path, umask, mask, file_mode, folder_mode):
    umask(mask)
    write_json(tmp_path / "m.json", {})
    with new_folder(tmp_path / "out"):
        pass
    assert stat.S_IMODE((tmp_path / "m.json").stat().st_mode) == file_mode
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == folder_mode


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads; the child uses none
def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path):
    killed_in(new_file, tmp_path / "p.csv")
    killed_in(new_folder, tmp_path / "out")
    assert len(names(tmp_path)) == 2
    write_bytes(tmp_path / "p.csv", b"whole")
    with new_folder(tmp_path / "out") as folder:
        (folder / "whole").touch()
    assert names(tmp_path) == ["out", "p.csv"]
    assert names(tmp_path / "out") == ["whole"]


def test_a_living_writer_is_left_alone(tmp_path):
    target = tmp_path / "p.csv"
    with new_file(target) as slow, new_folder(tmp_path / "out") as building:
        slow.write(b"slow")
        write_bytes(target, b"fast")
        sweep(target)
        sweep(tmp_path / "out")
        assert building.is_dir()
    assert target.read_bytes() == b"slow"


def test_only_our_own_leftovers_are_swept(tmp_path):
    """A pattern in the target's name, another target, another form of name, a folder without our marker."""
    foreign = [
        ".p.csv.partial",
        ".p.csv.1234.partial",
        ".p2.csv.0123456789abcdef.partial",
        ".fx.0123456789abcdef.partial",
        "p.csv.0123456789abcdef.partial",
    ]
    for name in foreign:
        (tmp_path / name).write_bytes(b"precious")
    folder = tmp_path / ".p.csv.0123456789abcdef.partial"
    folder.mkdir()
    (folder / "thesis.txt").write_bytes(b"precious")
    (tmp_path / ".p.csv.00000000000000aa.partial").symlink_to(folder)
    before = sorted(tmp_path.rglob("*"))
    for target in ("p.csv", "f[x]", "*"):
        sweep(tmp_path / target)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch):
    """Even with the name guessed, which is drawn at random."""
    (tmp_path / "victim").write_bytes(b"precious")
    monkeypatch.setattr("udta._files.atomic.secrets.token_hex", lambda count: "ab" * count)
    target = tmp_path / "p.csv"
    planted = target.with_name(temporary_name(target))
    planted.symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        write_bytes(target, b"ours")
    planted.unlink()
    planted.hardlink_to(tmp_path / "victim")
    write_bytes(target, b"ours")  # this name of the file is swept, the file stays
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert target.read_bytes() == b"ours"


def test_a_link_at_the_target_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "cached").write_bytes(b"precious")
    (tmp_path / "p.csv").symlink_to(tmp_path / "cached")
    write_bytes(tmp_path / "p.csv", b"ours")
    assert (tmp_path / "cached").read_bytes() == b"precious"
    assert (tmp_path / "p.csv").read_bytes() == b"ours"


def test_devices_and_folders_are_not_renamed_over(tmp_path):
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("fifo.csv", "folder.csv"):
        with pytest.raises(OSError, match=r"no regular file|s a directory"):
            write_bytes(tmp_path / name, b"ours")
    assert names(tmp_path) == ["fifo.csv", "folder.csv"]


def test_a_folder_replaces_another_only_when_asked(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "out"):
        pass
    with new_folder(tmp_path / "out", replace=True) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["new"]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "p.csv", "[a]*?.csv", "new\nline"])
def test_every_name_that_a_file_can_have_has_a_temporary(tmp_path, name):
    write_bytes(tmp_path / name, b"x")
    assert names(tmp_path) == [name]
    assert is_temporary(temporary_name(tmp_path / name), name)
