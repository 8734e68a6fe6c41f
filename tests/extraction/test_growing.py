"""Growing and storage types by real extractions: exactly what is missing is computed, and nothing else differs."""

import errno
import shutil

import numpy as np
import pytest
from PIL import Image
from toy import photographs

import udta
from udta.errors import NotAStoreError, StaleStoreError, StoreError
from udta.store import StoreWriter, engine_at
from udta.store._block_files import write_parts

OPTIONS = {"backbone": "toy:net", "taps": "stage1=grid(4),stage2=avg", "views": 2, "compute": "float32"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 32)
    return photographs(tmp_path / "photos", per_class=16)  # 48 images: two blocks


def assert_same(path, images, **options):
    """The store equals one that is extracted at once."""
    whole = path.with_name("at-once")
    shutil.rmtree(whole, ignore_errors=True)
    udta.extract(images, out=whole, **{**OPTIONS, **options})
    grown, fresh = udta.open_store(path), udta.open_store(whole)
    assert grown.ids.tolist() == fresh.ids.tolist()
    for tap, values in fresh.read(fresh.rows()).items():
        np.testing.assert_array_equal(grown.read(grown.rows(), [tap])[tap], values)
    assert udta.verify(path).sound


@pytest.mark.parametrize("engine", ["zarr", "hdf5"])
def test_images_come_change_and_go(folder, tmp_path, engine):
    path = tmp_path / "s"
    udta.extract(folder, out=path, format=engine, **OPTIONS)
    Image.new("RGB", (20, 20), "teal").save(folder / "bird" / "0005.png")
    Image.new("RGB", (20, 20), "red").save(folder / "dog" / "003.png")
    (folder / "cat" / "002.png").unlink()
    report = udta.extract(folder, out=path, prune=True, **OPTIONS)
    assert (report.rows, report.computed_rows, report.computed_images) == (48, 2, 4)
    assert report.format == engine
    assert_same(path, folder)


def test_another_tap_and_more_views(folder, tmp_path):
    path = tmp_path / "s"
    udta.extract(folder, out=path, **{**OPTIONS, "taps": "stage2=avg", "views": 1})
    assert udta.extract(folder, out=path, **{**OPTIONS, "taps": "stage2=avg"}).computed_images == 48
    report = udta.extract(folder, out=path, **OPTIONS)
    assert report.computed_images == 96  # both views, for the other tap alone
    assert_same(path, folder)


def test_wholly_other_images_are_refused(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    other = photographs(tmp_path / "other", seed=9)
    with pytest.raises(StaleStoreError, match="none of those asked for"):
        udta.extract(other, out=tmp_path / "s", **OPTIONS)


@pytest.mark.parametrize(
    ("dtype", "error"), [("float16", 1e-3), pytest.param("bfloat16", 1e-2, marks=pytest.mark.slow), ("uint8", 3e-2)]
)
def test_storage_types_keep_their_measured_error(folder, tmp_path, dtype, error):
    udta.extract(folder, out=tmp_path / "exact", dtype="float32", **OPTIONS)
    report = udta.extract(folder, out=tmp_path / "s", dtype=dtype, **OPTIONS)
    measured = report.storage_error
    assert set(measured["relative_rmse"]) == {"stage1", "stage2"}
    assert all(value < error for value in measured["relative_rmse"].values())
    assert abs(measured["probe_top1_difference"]) <= 0.1
    exact = udta.open_store(tmp_path / "exact").read(range(48))
    found = udta.open_store(tmp_path / "s").read(range(48), dtype="float32")
    for tap, values in exact.items():
        deviation = np.sqrt(np.square(found[tap] - values).sum() / np.square(values).sum())
        assert deviation < 2 * error
    run = udta.train(tmp_path / "s", out=tmp_path / "run", adapter="linear", recipe={"epochs": 100, "lr": 0.01})
    assert run.metrics["top1"] > 0.8
    assert udta.recompute(tmp_path / "s", samples=8, backbone="toy:net").differing == ()


def test_a_uint8_store_grows_with_its_own_ranges(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "s", dtype="uint8", **OPTIONS)
    before = udta.open_store(tmp_path / "s")
    quantisers, rows = before.layout.quantisers, before.read([0, 40])
    Image.new("RGB", (20, 20), "white").save(folder / "dog" / "zzz.png")
    assert udta.extract(folder, out=tmp_path / "s", dtype="uint8", **OPTIONS).computed_rows == 1
    after = udta.open_store(tmp_path / "s")
    assert after.layout.quantisers == quantisers
    for tap, values in after.read([0, 40]).items():
        np.testing.assert_array_equal(values, rows[tap])
    assert set(after.clipped) == {"stage1", "stage2"}


def test_interrupted_uint8_equals_uninterrupted(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "whole", dtype="uint8", **OPTIONS)

    def stop(what, done, total, note):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        udta.extract(folder, out=tmp_path / "s", dtype="uint8", progress=stop, **OPTIONS)
    assert udta.extract(folder, out=tmp_path / "s", dtype="uint8", **OPTIONS).computed_rows == 16
    assert udta.diff(tmp_path / "s", tmp_path / "whole").equal


def test_a_plan_says_what_extract_then_does_and_writes_nothing(folder, tmp_path):
    path = tmp_path / "s"
    plan = udta.plan(folder, out=path, **OPTIONS)
    assert (plan.state, plan.rows, plan.compute_images, plan.blocks) == ("new", 48, 96, 2)
    assert plan.images_per_second > 0
    assert plan.fits
    assert not path.exists()
    report = udta.extract(folder, out=path, **OPTIONS)
    assert 0 < report.bytes - plan.bytes < 20_000  # metadata and ledger
    assert udta.plan(folder, out=path, **OPTIONS).state == "complete"
    Image.new("RGB", (20, 20), "teal").save(folder / "bird" / "0005.png")
    grows = udta.plan(folder, out=path, **OPTIONS)
    assert (grows.state, grows.compute_rows, grows.compute_images) == ("grows", 1, 2)
    assert "grows" in str(grows)
    refused = udta.plan(folder, out=path, **{**OPTIONS, "seed": 4})
    assert refused.state == "refused"
    assert any("views/seed" in line for line in refused.differences)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(NotAStoreError):
        udta.plan(folder, out=tmp_path / "other", **OPTIONS)


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_computed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("udta.extraction._disk_space.free_bytes", lambda path: 2**20)
    with pytest.raises(StoreError, match=r"needs .* GB"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert not (tmp_path / "s").exists()


def test_a_disk_that_fills_stops_cleanly_and_is_continued(folder, tmp_path, monkeypatch):
    calls = []

    def fill(parts):
        calls.append(parts)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_parts(parts)

    monkeypatch.setattr("udta.store._zarr_engine.write_parts", fill)
    with pytest.raises(StoreError, match=r"No space left.*1 of 2 blocks are committed"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert udta.open_store(tmp_path / "s").n_committed == 32
    monkeypatch.undo()
    assert udta.extract(folder, out=tmp_path / "s", **OPTIONS).computed_rows == 16
    assert_same(tmp_path / "s", folder)


def test_recomputing_finds_what_checksums_cannot(folder, tmp_path):
    path = tmp_path / "s"
    udta.extract(folder, out=path, **OPTIONS)
    report = udta.recompute(path, samples=48, backbone="toy:net")
    assert report.samples == 48
    assert report.differing == ()
    assert report.exact > 0.99
    store = udta.open_store(path)
    swapped = {tap: values[::-1].copy() for tap, values in store.read(range(32)).items()}
    engine_at(path).ledger.drop(0)
    with StoreWriter(path, store.layout, [store.hashes[name] for name in store.ids]) as writer:
        writer.write(0, swapped)
    assert udta.verify(path).sound
    assert len(udta.recompute(path, samples=48, backbone="toy:net").differing) > 16
    with pytest.raises(StaleStoreError, match="another backbone"):
        udta.recompute(path, backbone="toy:net?width=9")
