"""Several stores in one go: an error of one stops all, all continue, and mistakes are told together before anything is done."""

import signal
import threading
import time

import pytest
from many_stores import STORES, assert_alike, many, one_by_one
from PIL import Image
from toy import photographs

import udta
from udta.errors import ConfigError, DataError, FeatureError, ImageError, StaleStoreError, StoreError
from udta.images import read_images


def test_a_failure_of_one_stops_all_and_all_continue(images, tmp_path):
    Image.new("RGB", (24, 20)).save(images / "dog" / "020.png")
    stores = [STORES[0], {**STORES[1], "backbone": "toy:net?nan=true&width=9"}, STORES[2]]
    with pytest.raises(FeatureError, match=r"dog/020\.png"):
        many(images, tmp_path / "many", stores)
    assert udta.open_store(tmp_path / "many" / "a").n_committed >= 16
    at_work = ("udta-store", "udta-decode", "udta-forward", "udta-write")
    assert not [each.name for each in threading.enumerate() if each.name.startswith(at_work)]
    reports = many(images, tmp_path / "many", stores[::2])
    assert [report.rows for report in reports] == [96, 96]
    one_by_one(images, tmp_path / "alone", stores[::2])
    assert_alike(tmp_path / "many", tmp_path / "alone", stores[::2])


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_disk_that_fails_stops_all_and_all_continue(images, tmp_path, monkeypatch):
    from udta.store._zarr_engine import ZarrEngine

    write = ZarrEngine.write_block

    def failing(self, layout, block, features):
        if self.directory.path.name == "b" and block == 2:
            raise OSError(28, "No space left on device")
        return write(self, layout, block, features)

    monkeypatch.setattr(ZarrEngine, "write_block", failing)
    with pytest.raises(StoreError, match=r"b: block 2 cannot be written \(No space left on device\)"):
        many(images, tmp_path / "many")
    monkeypatch.setattr(ZarrEngine, "write_block", write)
    many(images, tmp_path / "many")
    one_by_one(images, tmp_path / "alone")
    assert_alike(tmp_path / "many", tmp_path / "alone")


@pytest.fixture
def hears_ctrl_c():
    """Processes of `pytest -n` ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_stops_all_and_all_continue(images, tmp_path):
    photographs(images, per_class=96, classes=("fox",))
    pressed = []

    def progress(what, done, total, note):
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


def test_a_stale_store_is_refused_before_anything_is_written(images, tmp_path):
    one_by_one(images, tmp_path / "many", [{**STORES[1], "seed": 1}])
    with pytest.raises(StaleStoreError, match=r"views/seed"):
        many(images, tmp_path / "many")
    assert not (tmp_path / "many" / "a").exists()
    assert not (tmp_path / "many" / "c").exists()


def test_stores_on_one_disk_need_their_room_together(images, tmp_path, monkeypatch):
    room = 2**24 + 300_000  # the spare, and more than any one of the stores
    monkeypatch.setattr("udta.extraction._disk_space.free_bytes", lambda path: room)
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
