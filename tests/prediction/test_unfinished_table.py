"""Whatever is left of an unfinished table, the next writer ends with the bytes of one who was not interrupted."""

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udta.images import Manifest
from udta.prediction import _unfinished_table
from udta.prediction._row_bytes import row_bytes
from udta.prediction._table_lines import Lines
from udta.prediction._unfinished_table import UnfinishedTable

N = 114
JOB = {"adapters": [["run", "0" * 64]], "views": 1}


@pytest.fixture(autouse=True, scope="module")
def sure_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_unfinished_table, "_SURE_EVERY_S", 0.0)
        yield


def images(n=N, changed=None):
    ids = tuple(f"{number}.png" for number in range(n))
    hashes = tuple("f" * 64 if number == changed else f"{number:064x}" for number in range(n))
    return Manifest(Path(), (), ids, np.full(n, -1), ("none",) * n, hashes, "none")


def written(target, stop_after=N, manifest=None, job=JOB, *, may_skip=True):
    """Batches until so many images are done; how many were done before, and the table where all are."""
    manifest, lines = manifest or images(), Lines()
    rows = row_bytes(target, lines.columns)
    try:
        with UnfinishedTable(target, rows, job, manifest, may_skip=may_skip) as table:
            before = table.done
            while table.done < len(manifest):
                if table.done >= stop_after:
                    raise KeyboardInterrupt
                names = manifest.ids[table.done : table.done + 32]
                skipped = {names[0]: "bad"} if table.done == 0 else {}
                table.add([[name, "=run", "cat", number / 7] for number, name in enumerate(names)], len(names), skipped)
            table.finish()
            assert table.skipped == {"0.png": "bad"}
    except KeyboardInterrupt:
        return before, None
    return before, target.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {name: written(tmp_path_factory.mktemp("whole") / name)[1] for name in ("p.csv", "p.parquet")}


def hidden(target):
    return sorted(path for path in target.parent.iterdir() if path != target)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["p.csv", "p.parquet"]),
    stop_after=st.sampled_from([32, 64, 96]),
    which=st.sampled_from([0, 1]),
    at=st.integers(0, 1 << 16),
    harm=st.sampled_from(["cut", "torn", "changed"]),
)
def test_it_ends_with_the_same_bytes(whole, name, stop_after, which, at, harm):
    with TemporaryDirectory() as folder:
        target = Path(folder) / name
        assert written(target, stop_after) == (0, None)
        file = hidden(target)[which]
        content = bytearray(file.read_bytes())
        if harm == "changed":
            content[at % len(content)] ^= 1
        kept = (
            content if harm == "changed" else content[: at % len(content)] if harm == "cut" else content + b'{"of": 1'
        )
        file.write_bytes(kept)
        before, found = written(target)
        assert found == whole[name]
        assert before in ((stop_after,) if harm == "torn" else range(0, stop_after + 1, 32))
        assert hidden(target) == []


def test_images_behind_those_that_are_done_may_be_others(tmp_path):
    written(tmp_path / "p.csv", 64)
    before, found = written(tmp_path / "p.csv", 200, images(200, changed=64))
    assert (before, len(found.splitlines())) == (64, 201)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"job": {**JOB, "views": 2}}, "was begun with other views: it is begun anew"),
        ({"manifest": images(changed=63)}, "was begun with other images"),
        ({"manifest": images(40)}, "was begun with other images"),
        ({"may_skip": False}, "leaves images out"),
    ],
)
def test_another_job_begins_anew(tmp_path, caplog, changes, says):
    written(tmp_path / "p.csv", 64)
    with caplog.at_level(logging.INFO, "udta"):
        assert written(tmp_path / "p.csv", 200, **changes)[0] == 0
    assert says in caplog.text


@pytest.mark.parametrize("plant", [os.symlink, os.link])
@pytest.mark.parametrize("which", [0, 1])
def test_what_somebody_put_in_the_way_is_not_written_into(tmp_path, plant, which):
    (tmp_path / "out").mkdir()
    target, victim = tmp_path / "out" / "p.csv", tmp_path / "victim"
    written(target, 64)
    hidden(target)[which].rename(victim)
    plant(victim, [target.with_name(".p.csv.unfinished"), target.with_name(".p.csv.unfinished.jsonl")][which])
    before = victim.read_bytes()
    assert written(target)[0] == 0
    assert victim.read_bytes() == before


def test_nothing_is_kept_where_nothing_was_done(tmp_path):
    assert written(tmp_path / "p.csv", 0) == (0, None)
    assert hidden(tmp_path / "p.csv") == []
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        written(tmp_path / "d.csv")
