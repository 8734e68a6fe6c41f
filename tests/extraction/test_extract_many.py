"""Several stores in one go: each is what it would be alone, and every image is read and decoded once for all."""

import threading
import time
from collections import Counter

import numpy as np
import pytest
import torch
from many_stores import STORES, assert_alike, many, one_by_one
from some_fast import some_fast
from toy import photographs

import udta
from udta._machine.children import can_share_memory
from udta.extraction.decode import Reader, SharedViews
from udta.images import read_images


class InterruptedTestError(Exception):
    pass


def interrupt_after(rows):
    def progress(what, done, total, note):
        if done > rows:
            raise InterruptedTestError

    return progress


@pytest.mark.parametrize("kind", some_fast(["zarr", "hdf5"], "zarr"))
def test_each_image_is_decoded_once_and_each_store_is_what_it_is_alone(images, tmp_path, work, kind):
    reports = many(images, tmp_path / "many", format=kind)
    assert all(count == Counter(read_images(images).ids) for count in work)
    alone = one_by_one(images, tmp_path / "alone", format=kind)
    assert_alike(tmp_path / "many", tmp_path / "alone")
    for together, single in zip(reports, alone, strict=True):
        for figure in (
            "rows",
            "computed_rows",
            "computed_images",
            "n_views",
            "written_bytes",
            "fingerprint",
            "workers",
        ):
            assert getattr(together, figure) == getattr(single, figure), figure
        assert together.step_seconds["forward"] > 0
    assert sum(report.step_seconds["decode"] for report in reports) > 0
    assert len(udta.store._history.read_runs(tmp_path / "many" / "b")) == 1


@pytest.mark.slow
def test_what_is_kept_is_bounded_however_slow_one_is(images, tmp_path, monkeypatch):
    """At most one batch of 16 rows ahead of the one that begins, and two behind it, which are being decoded."""
    kept, take, make = [], SharedViews.take, Reader.make

    def watched(self, reader, row, meter):
        made = take(self, reader, row, meter)
        kept.append(len(self._made))
        return made

    def slow(self, manifest, row, views, which, meter):
        time.sleep(0.05 if len(which) == 2 else 0)  # the third store
        return make(self, manifest, row, views, which, meter)

    monkeypatch.setattr(SharedViews, "take", watched)
    monkeypatch.setattr(Reader, "make", slow)
    monkeypatch.setattr("udta.extraction.extract_many.BATCH_ROWS", 16)
    many(images, tmp_path / "many", prefetch=1)
    assert max(kept) <= 4 * 16


@pytest.mark.slow
def test_complete_partial_and_new_stores_continue_together(images, tmp_path, work):
    one_by_one(images, tmp_path / "alone")
    one_by_one(images, tmp_path / "many", STORES[:1])
    with pytest.raises(InterruptedTestError):
        one_by_one(images, tmp_path / "many", STORES[1:2], progress=interrupt_after(48))
    begun = udta.open_store(tmp_path / "many" / "b").n_committed
    assert 0 < begun < 96
    for count in work:
        count.clear()
    reports = many(images, tmp_path / "many")
    assert [report.computed_rows for report in reports] == [0, 96 - begun, 96]
    assert all(count == Counter(read_images(images).ids) for count in work)
    assert_alike(tmp_path / "many", tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"views": 4}], ids=["images", "images and views"])
def test_stores_that_grow_share_what_they_can(images, tmp_path, work, more):
    """New images alone are decoded once; where old images lack views too, every store makes its views for itself."""
    stores = STORES[:2]
    many(images, tmp_path / "many", stores)
    photographs(images, per_class=20, classes=("fox",), seed=1)
    for count in work:
        count.clear()
    reports = many(images, tmp_path / "many", stores, **more)
    if not more:
        assert work[1] == Counter(f"fox/{number:03d}.png" for number in range(20))
        assert [report.computed_rows for report in reports] == [20, 20]
    one_by_one(images, tmp_path / "alone", stores, **more)
    for store in stores:
        found, alone = (udta.open_store(tmp_path / folder / store["out"]) for folder in ("many", "alone"))
        for tap in found.taps:
            np.testing.assert_allclose(found.read(range(116))[tap], alone.read(range(116))[tap], rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("decoder", ["pillow", "nvjpeg"])
def test_on_a_gpu_each_store_is_what_it_is_alone(images, tmp_path, decoder):
    options = {"device": "cuda:0", "compute": "bfloat16", "decoder": decoder}
    many(images, tmp_path / "many", **options)
    one_by_one(images, tmp_path / "alone", **options)
    assert_alike(tmp_path / "many", tmp_path / "alone")


@pytest.mark.slow
def test_there_are_no_more_forward_passes_at_a_time_than_cores(images, tmp_path, monkeypatch):
    from udta.backbones import TapForward

    monkeypatch.setattr("udta.extraction.extract_many.n_cores", lambda: 1)
    running, most, forward = [], [], TapForward.__call__

    def watched(self, pixels):
        running.append(1)
        most.append(len(running))
        try:
            return forward(self, pixels)
        finally:
            running.pop()

    monkeypatch.setattr(TapForward, "__call__", watched)
    many(images, tmp_path / "many")
    assert max(most) == 1


def test_with_compiled_code_one_store_follows_the_other(images, tmp_path, monkeypatch):
    """Nothing is compiled here: what matters is that no other store is at work meanwhile."""
    monkeypatch.setattr("udta.backbones._forward.compile_between_taps", lambda module, taps: 0)
    seen = []
    stores = [STORES[0], {**STORES[1], "compute": "float32+compile"}]
    many(images, tmp_path / "many", stores, progress=lambda *_: seen.append(threading.current_thread().name))
    assert set(seen) == {threading.main_thread().name}
    assert all(udta.open_store(tmp_path / "many" / store["out"]).complete for store in stores)


@pytest.mark.slow
def test_where_processes_decode_one_store_follows_the_other(images, tmp_path, monkeypatch):
    seen = []
    with monkeypatch.context() as patched:
        for module in ("extract", "decode"):
            patched.setattr(f"udta.extraction.{module}.processes_pay", lambda *_: can_share_memory())
        many(images, tmp_path / "many", progress=lambda *_: seen.append(threading.current_thread().name))
    assert set(seen) == {threading.main_thread().name}
    one_by_one(images, tmp_path / "alone")
    assert_alike(tmp_path / "many", tmp_path / "alone")


@pytest.mark.slow
def test_with_processes_one_store_follows_the_other(images, tmp_path):
    stores = STORES[:2]
    reports = many(images, tmp_path / "many", stores, workers=2)
    assert [report.workers for report in reports] == [2, 2]
    one_by_one(images, tmp_path / "alone", stores)
    assert_alike(tmp_path / "many", tmp_path / "alone", stores)


def test_progress_counts_all_stores_together(images, tmp_path):
    seen = []
    many(images, tmp_path / "many", progress=lambda *arguments: seen.append(arguments))
    assert [done for _, done, _, _ in seen] == sorted(done for _, done, _, _ in seen)
    assert seen[-1][:3] == ("rows", 3 * 96, 3 * 96)
    assert "images/s" in seen[-1][3]
