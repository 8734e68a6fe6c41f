"""Asking a store for less than it holds, or again for what it could not use: nothing is lost, and nothing happens unsaid."""

import shutil

import numpy as np
import pytest
from PIL import Image
from toy import CLASSES, photographs

import udta
from udta.errors import ImageError, StaleStoreError
from udta.store import engine_at

pytestmark = pytest.mark.slow

OPTIONS = {"backbone": "toy:net", "taps": "stage1=grid(4),stage2=avg", "views": 2, "compute": "float32"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 32)
    return photographs(tmp_path / "photos", per_class=12)  # 36 images: two blocks


def tree(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


# --- images


def test_images_that_are_away_are_refused_and_their_features_stay(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    before = tree(tmp_path / "s")
    away = sorted((folder / "cat").iterdir())[1:] + sorted((folder / "dog").iterdir())[1:]
    (tmp_path / "disk").mkdir()
    for path in away:
        path.rename(tmp_path / "disk" / f"{path.parent.name}-{path.name}")
    message = r"removes 22 of 36 rows.*cat/001\.png, cat/002\.png, cat/003\.png, \.\.\..*--prune"
    for stale in ("refuse", "replace"):
        with pytest.raises(StaleStoreError, match=message):
            udta.extract(folder, out=tmp_path / "s", if_stale=stale, **OPTIONS)
    planned = udta.plan(folder, out=tmp_path / "s", **OPTIONS)
    assert planned.state == "refused"
    assert "removes 22 of 36 rows" in str(planned)
    assert tree(tmp_path / "s") == before
    for path in away:
        (tmp_path / "disk" / f"{path.parent.name}-{path.name}").rename(path)
    assert udta.extract(folder, out=tmp_path / "s", **OPTIONS).computed_rows == 0


def test_pruning_removes_rows_and_says_how_many(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    for path in sorted((folder / "dog").iterdir())[4:]:
        path.unlink()
    Image.new("RGB", (20, 20), "teal").save(folder / "bird" / "new.png")
    Image.new("RGB", (20, 20), "red").save(folder / "bird" / "000.png")
    planned = udta.plan(folder, out=tmp_path / "s", prune=True, **OPTIONS)
    assert (planned.state, planned.compute_rows, len(planned.changes.removed)) == ("grows", 2, 8)
    report = udta.extract(folder, out=tmp_path / "s", prune=True, **OPTIONS)
    assert (report.rows, report.computed_rows) == (29, 2)
    assert "images: 1 new, 1 with another content, 8 removed" in str(report)
    assert len(udta.open_store(tmp_path / "s")) == 29


def test_renamed_and_moved_images_keep_their_features_without_being_pruned(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    (folder / "cat" / "003.png").rename(folder / "cat" / "zzz.png")
    (folder / "dog" / "003.png").rename(folder / "bird" / "moved.png")
    report = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert (report.rows, report.computed_rows, report.changes.renamed) == (36, 0, 2)
    assert "images: 2 renamed" in str(report)


def test_one_of_two_equal_images_that_is_gone_is_a_row_that_is_gone(folder, tmp_path):
    shutil.copy(folder / "cat" / "001.png", folder / "cat" / "twin.png")
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    (folder / "cat" / "twin.png").unlink()
    with pytest.raises(StaleStoreError, match=r"removes 1 of 37 rows.*\(cat/twin\.png\)"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)


def test_rows_that_are_not_computed_yet_do_not_vanish_either(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    engine_at(tmp_path / "s").ledger.drop(1)
    (folder / "dog" / "011.png").unlink()
    with pytest.raises(StaleStoreError, match="removes 1 of 36 rows"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)


def test_a_damaged_image_that_was_skipped_may_be_deleted(folder, tmp_path):
    (folder / "cat" / "001.png").write_bytes(b"text")
    udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    (folder / "cat" / "001.png").unlink()
    report = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert (report.rows, report.computed_rows, dict(report.skipped)) == (35, 0, {})


def test_images_that_cannot_be_read_for_a_moment_keep_their_features(folder, tmp_path):
    """Skipping would put nothing in the place of what is there."""
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    before = tree(tmp_path / "s")
    (folder / "cat" / "001.png").rename(tmp_path / "away.png")
    (folder / "cat" / "001.png").symlink_to(tmp_path / "not-mounted.png")
    with pytest.raises(StaleStoreError, match=r"removes 1 of 36 rows.*cannot be read \(cat/001\.png\)"):
        udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    assert tree(tmp_path / "s") == before
    report = udta.extract(folder, out=tmp_path / "s", on_error="skip", prune=True, **OPTIONS)
    assert list(report.skipped) == ["cat/001.png"]
    (folder / "cat" / "001.png").unlink()
    (tmp_path / "away.png").rename(folder / "cat" / "001.png")
    report = udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    assert (report.computed_rows, dict(report.skipped), str(report.changes)) == (1, {}, "")


# --- taps and views


def test_fewer_taps_or_views_than_stored_are_nothing_to_do(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "views": 3})
    before = tree(tmp_path / "s")
    for less, kept in (
        ({"views": 2}, "3 views"),
        ({"views": 1, "augment": "resize(16,16)|flip"}, "3 views"),  # no view of this augmentation was asked for
        ({"views": 3, "taps": "stage2=avg"}, "tap 'stage1'"),
        ({"views": 1, "taps": "stage1=grid(4)"}, "tap 'stage2', 3 views"),
    ):
        report = udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, **less})
        assert report.computed_rows == 0
        assert f"holds more than was asked, and keeps it: {kept}" in str(report)
        planned = udta.plan(folder, out=tmp_path / "s", **{**OPTIONS, **less})
        assert (planned.state, planned.compute_images, planned.views) == ("complete", 0, 3)
    assert tree(tmp_path / "s") == before


def test_images_that_come_get_what_is_stored_beside_what_is_asked(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "taps": "stage1=grid(4)"})
    Image.new("RGB", (20, 20), "teal").save(folder / "bird" / "new.png")
    report = udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "taps": "stage2=avg", "views": 1})
    assert report.n_views == 2
    udta.extract(folder, out=tmp_path / "whole", **OPTIONS)
    found, whole = udta.open_store(tmp_path / "s"), udta.open_store(tmp_path / "whole")
    assert list(found.taps) == ["stage1", "stage2"]
    assert found.fingerprint == whole.fingerprint
    for tap, values in whole.read(whole.rows()).items():
        np.testing.assert_allclose(found.read(found.rows())[tap], values, rtol=1e-2, atol=1e-3)


def test_other_views_are_still_refused(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "views": 3})
    with pytest.raises(StaleStoreError, match="views/count: stored 3, asked 2"):
        udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "augment": "resize(16,16)|flip"})


def test_replacing_makes_exactly_what_is_asked(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert udta.plan(folder, out=tmp_path / "s", if_stale="replace", **{**OPTIONS, "views": 1}).state == "replaced"
    report = udta.extract(folder, out=tmp_path / "s", if_stale="replace", **{**OPTIONS, "views": 1})
    assert (report.n_views, report.computed_rows, report.kept) == (1, 36, ())


# --- images that were skipped


def away_for_a_moment(folder, names):
    contents = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).write_bytes(b"text")
    return contents


def skipped_by_accident(folder, store, names, monkeypatch):
    """As if they could not be read for a moment: what the manifest knows of them is what they are."""
    from udta.images import Sample

    read = Sample.read

    def fail(sample):
        if sample.id in names:
            raise ImageError(sample.id, "cannot be read (Input/output error)")
        return read(sample)

    monkeypatch.setattr(Sample, "read", fail)
    report = udta.extract(folder, out=store, on_error="skip", **OPTIONS)
    monkeypatch.setattr(Sample, "read", read)
    assert set(report.skipped) == set(names)
    return report


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (
            {"on_error": "skip", "retry_skipped": True},
            [f"{name}/{row:03d}.png" for name in CLASSES for row in range(12)],
        ),
        ({"on_error": "fail"}, ["cat/001.png", "dog/011.png"]),
    ],
)
def test_images_that_were_away_for_a_moment_are_tried_again(folder, tmp_path, monkeypatch, policy, names):
    store = tmp_path / "s"
    skipped_by_accident(folder, store, names, monkeypatch)
    planned = udta.plan(folder, out=store, **policy, **OPTIONS)
    assert (planned.state, planned.compute_rows) == ("grows", len(names))
    report = udta.extract(folder, out=store, **policy, **OPTIONS)
    assert (report.computed_rows, dict(report.skipped)) == (len(names), {})
    assert len(udta.open_store(store).rows()) == 36
    assert udta.verify(store).sound


def test_without_being_asked_they_stay_skipped_and_are_named(folder, tmp_path, monkeypatch):
    first = skipped_by_accident(folder, tmp_path / "s", ["cat/001.png"], monkeypatch)
    assert "skipped 1 image(s):\n  cat/001.png: cannot be read" in str(first)
    assert first.skipped_before == ()
    again = udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    assert (again.computed_rows, again.skipped_before) == (0, ("cat/001.png",))
    assert "1 image(s) were skipped by an earlier run; --retry-skipped tries them again:\n  cat/001.png:" in str(again)


def test_a_skipped_image_with_another_content_is_tried_again_anyway(folder, tmp_path):
    contents = away_for_a_moment(folder, ["cat/001.png"])
    udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    (folder / "cat" / "001.png").write_bytes(contents["cat/001.png"])
    report = udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    assert (report.computed_rows, dict(report.skipped)) == (1, {})


def test_an_image_that_is_still_bad_stops_fail_and_leaves_the_store(folder, tmp_path):
    (folder / "cat" / "001.png").write_bytes(b"text")
    udta.extract(folder, out=tmp_path / "s", on_error="skip", **OPTIONS)
    before = tree(tmp_path / "s")
    with pytest.raises(ImageError, match=r"cat/001\.png"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert tree(tmp_path / "s") == before
    report = udta.extract(folder, out=tmp_path / "s", on_error="skip", retry_skipped=True, **OPTIONS)
    assert list(report.skipped) == ["cat/001.png"]
    assert report.skipped_before == ()
