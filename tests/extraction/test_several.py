"""Several stores in one go: each is what it would be alone, and every image is read and decoded once for all."""

import signal
import threading
import time
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from test_killed_command import tree
from toy import photographs

import udta
from udta.data import EncodedImage, read_images
from udta.errors import ConfigError, DataError, FeatureError, ImageError, StaleStoreError, StoreError
from udta.extraction.shared_views import Reader, SharedViews

COMMON = {"taps": "stage1=grid(4),stage2=avg", "views": 3, "compute": "float32", "dtype": "float32"}
# The second sees other pixels than the first, in views that are made by the same transform; the third is the first in float16.
STORES = [
    {"backbone": "toy:net", "out": "a"},
    {"backbone": "toy:net?width=9", "out": "b", "transform": "resize(20)|centre_crop(16)"},
    {"backbone": "toy:net?width=5", "out": "c", "taps": "stage2", "views": 2},
]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """96 images in blocks of 16."""
    monkeypatch.setattr("udta.store.layout.BLOCK_ROWS", 16)
    return photographs(tmp_path / "photos", per_class=32)


@pytest.fixture
def work(monkeypatch):
    """How often each image was opened, and how often decoded."""
    opened, decoded = Counter(), Counter()
    begin, decode = EncodedImage.__init__, EncodedImage._decode

    def counted_begin(self, content, name):
        opened[name] += 1
        begin(self, content, name)

    def counted_decode(self, reduction):
        decoded[self._name] += 1
        return decode(self, reduction)

    monkeypatch.setattr(EncodedImage, "__init__", counted_begin)
    monkeypatch.setattr(EncodedImage, "_decode", counted_decode)
    return opened, decoded


def stores_in(folder, stores=STORES):
    return [{**store, "out": folder / store["out"]} for store in stores]


def many(images, folder, stores=STORES, **options):
    return udta.extract_many(images, stores_in(folder, stores), **{**COMMON, **options})


def one_by_one(images, folder, stores=STORES, **options):
    return [udta.extract(images, **{**COMMON, **options, **store}) for store in stores_in(folder, stores)]


def assert_alike(folder, other, stores=STORES):
    for store in stores:
        assert tree(folder / store["out"]) == tree(other / store["out"]), store


@pytest.mark.parametrize("kind", ["zarr", "hdf5"])
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
    assert len(udta.store.history.read_runs(tmp_path / "many" / "b")) == 1


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
    monkeypatch.setattr("udta.extraction.several.BATCH_ROWS", 16)
    many(images, tmp_path / "many", prefetch=1)
    assert max(kept) <= 4 * 16


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


class InterruptedTestError(Exception):
    pass


def interrupt_after(rows):
    def progress(done, total, note):
        if done > rows:
            raise InterruptedTestError

    return progress


def test_a_failure_of_one_stops_all_and_all_continue(images, tmp_path):
    Image.new("RGB", (24, 20)).save(images / "dog" / "020.png")
    stores = [STORES[0], {**STORES[1], "backbone": "toy:net?nan=true&width=9"}, STORES[2]]
    with pytest.raises(FeatureError, match=r"dog/020\.png"):
        many(images, tmp_path / "many", stores)
    assert udta.open_store(tmp_path / "many" / "a").n_committed >= 16
    assert threading.active_count() < 10
    reports = many(images, tmp_path / "many", stores[::2])
    assert [report.rows for report in reports] == [96, 96]
    one_by_one(images, tmp_path / "alone", stores[::2])
    assert_alike(tmp_path / "many", tmp_path / "alone", stores[::2])


def test_a_bad_image_stops_all_or_is_skipped_in_all(images, tmp_path):
    (images / "cat" / "003.png").write_bytes(b"this is text")
    with pytest.raises(ImageError, match=r"cat/003\.png.*is not an image"):
        many(images, tmp_path / "many")
    reports = many(images, tmp_path / "many", on_error="skip")
    one_by_one(images, tmp_path / "alone", on_error="skip")
    assert_alike(tmp_path / "many", tmp_path / "alone")
    assert [list(report.skipped) for report in reports] == [["cat/003.png"]] * 3


def test_an_image_that_changes_during_the_work_stops_all(images, tmp_path):
    manifest = read_images(images)
    Image.new("RGB", (9, 9)).save(images / "dog" / "000.png")
    with pytest.raises(DataError, match="changed after the manifest"):
        many(manifest, tmp_path / "many")


def test_a_disk_that_fails_stops_all_and_all_continue(images, tmp_path, monkeypatch):
    from udta.store.zarr_engine import ZarrEngine

    write = ZarrEngine.write_block

    def failing(self, layout, block, features):
        if self.path.name == "b" and block == 2:
            raise OSError(28, "No space left on device")
        return write(self, layout, block, features)

    monkeypatch.setattr(ZarrEngine, "write_block", failing)
    with pytest.raises(StoreError, match=r"b: block 2 cannot be written \(No space left on device\)"):
        many(images, tmp_path / "many")
    monkeypatch.setattr(ZarrEngine, "write_block", write)
    many(images, tmp_path / "many")
    one_by_one(images, tmp_path / "alone")
    assert_alike(tmp_path / "many", tmp_path / "alone")


def test_ctrl_c_stops_all_and_all_continue(images, tmp_path):
    photographs(images, per_class=96, classes=("fox",))
    pressed = []

    def progress(done, total, note):
        if done > 48 and not pressed:
            pressed.append(done)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.1)  # so that the main thread hears it before all is done

    with pytest.raises(KeyboardInterrupt):
        many(images, tmp_path / "many", prefetch=1, progress=progress)
    assert not all(udta.open_store(tmp_path / "many" / store["out"]).complete for store in STORES)
    many(images, tmp_path / "many")
    one_by_one(images, tmp_path / "alone")
    assert_alike(tmp_path / "many", tmp_path / "alone")


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


def test_there_are_no_more_forward_passes_at_a_time_than_cores(images, tmp_path, monkeypatch):
    from udta.backbones import TapForward

    monkeypatch.setattr("udta.extraction.several.n_cores", lambda: 1)
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
    monkeypatch.setattr("udta.backbones.forward.compile_between_taps", lambda module, taps: 0)
    seen = []
    stores = [STORES[0], {**STORES[1], "compute": "float32+compile"}]
    many(images, tmp_path / "many", stores, progress=lambda *_: seen.append(threading.current_thread().name))
    assert set(seen) == {threading.main_thread().name}
    assert all(udta.open_store(tmp_path / "many" / store["out"]).complete for store in stores)


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
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[-1][:2] == (3 * 96, 3 * 96)
    assert "images/s" in seen[-1][2]


def test_a_stale_store_is_refused_before_anything_is_written(images, tmp_path):
    one_by_one(images, tmp_path / "many", [{**STORES[1], "seed": 1}])
    with pytest.raises(StaleStoreError, match=r"views/seed"):
        many(images, tmp_path / "many")
    assert not (tmp_path / "many" / "a").exists()
    assert not (tmp_path / "many" / "c").exists()


def test_stores_on_one_disk_need_their_room_together(images, tmp_path, monkeypatch):
    room = 2**24 + 300_000  # the spare, and more than any one of the stores
    monkeypatch.setattr("udta.extraction.room.free_bytes", lambda path: room)
    with pytest.raises(StoreError, match=r"a with .*b with .*c needs"):
        many(images, tmp_path / "many")
    assert not (tmp_path / "many" / "a").exists()


def test_what_is_wrong_with_any_store_is_reported_at_once_with_its_backbone(images, tmp_path):
    stores = [
        {"backbone": "toy:net", "out": "a", "transform": "resise(3)"},
        {"backbone": "toy:net?width=9", "out": "b", "taps": "stage1=gird(4)"},
    ]
    with pytest.raises(ConfigError) as caught:
        many(images, tmp_path, stores, views=0, device="cdua")
    problems = caught.value.problems
    assert len(problems) == 4
    assert [problem for problem in problems if problem.startswith("backbone")] == problems[2:]
    assert problems[2].startswith(f"backbone toy:net for {tmp_path / 'a'}: ")
    assert "resize" in problems[2]
    assert problems[3].startswith(f"backbone toy:net?width=9 for {tmp_path / 'b'}: ")
    with pytest.raises(ConfigError) as caught:
        many(images, tmp_path, [{**STORES[0], "taps": "stagge1"}, {**STORES[1], "taps": "stagee2"}])
    assert ["'stage1'" in caught.value.problems[0], "'stage2'" in caught.value.problems[1]] == [True, True]


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        ([], "no store is asked for"),
        ([STORES[0], {**STORES[1], "out": "./x/../a"}], "two stores are to be written to"),
        ([STORES[0], {**STORES[1], "out": "a/b"}], "inside another"),
        ([STORES[0], {"out": "b"}], "store 2: backbone is missing"),
        ([STORES[0], {**STORES[1], "tap": "x"}], "store 2: 'tap' is no option of a single store; did you mean 'taps'"),
        ([STORES[0], {**STORES[1], "seed": 1}], "'seed' is no option of a single store"),
    ],
)
def test_arguments_that_are_no_stores_are_refused(images, tmp_path, stores, message):
    with pytest.raises(ConfigError, match=message):
        many(images, tmp_path, stores)
