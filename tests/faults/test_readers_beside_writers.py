"""A reader beside a writer: what it gets belongs to the store that it opened, or it is told that this one is gone.

Every writer here acts at a chosen point of the reader's work, not at a moment that luck decides.
"""

import pickle
import shutil

import numpy as np
import pytest
from made_stores import TAPS, feature, growing_layout, write_missing

from udta import FeatureLoader, export, open_store, verify
from udta.errors import StoreReplacedError
from udta.store import StoreWriter
from udta.store._ledger import Ledger
from udta.store._zarr_engine import ZarrEngine

pytestmark = pytest.mark.slow

OLD, GROWN = tuple(range(12)), (90, 91, 92, *range(12), 93)


def layout_of(contents, **changes):
    layout = growing_layout(TAPS, 2, tuple(f"{content}.png" for content in contents))
    return layout if not changes else layout.__class__(**{**layout.__dict__, **changes})


def write(path, contents, engine, **options):
    hashes = [f"{content:064x}" for content in contents]
    with StoreWriter(path, layout_of(contents, **options), hashes, format=engine) as writer:
        write_missing(writer, hashes)


def expected(store, tap, rows, view):
    """What the images give that the store says these rows are."""
    return np.stack([feature(store.taps[tap], store.hashes[str(store.ids[row])], view) for row in rows])


def check(store, rows):
    for tap, values in store.read(rows).items():
        for view in range(store.n_views):
            np.testing.assert_array_equal(values[:, view], expected(store, tap, rows, view))


@pytest.fixture(params=["zarr", "hdf5", pytest.param("zarr-gzip", marks=pytest.mark.slow)])
def kind(request):
    engine, _, codec = request.param.partition("-")
    return engine, {"codec": codec} if codec else {}


@pytest.fixture(params=["below its descriptor", pytest.param("by its name", marks=pytest.mark.slow)])
def _opening(request, monkeypatch, tmp_path):
    """Systems without /proc/self/fd open by name and look again afterwards."""
    if request.param == "by its name":
        monkeypatch.setattr("udta.store._directory.DESCRIPTORS", tmp_path / "no such folder")


@pytest.fixture
def path(tmp_path, kind):
    write(tmp_path / "store", OLD, kind[0], **kind[1])
    return tmp_path / "store"


@pytest.fixture
def grow(path, kind):
    return lambda contents=GROWN: write(path, contents, kind[0], **kind[1])


READERS = {
    "read": lambda store, _: store.read([3]),
    "lazy array": lambda store, _: store.dask("head").compute(scheduler="sync"),
    "loader": lambda store, _: list(FeatureLoader(store, split=None)),
    "windowed loader": lambda store, _: list(FeatureLoader(store, split=None, batch_size=2, memory_budget=1)),
    "resident loader": lambda store, _: list(FeatureLoader(store, split=None, resident=True)),
    "export": lambda store, folder: export(store, to="npy", out=folder / "out"),
}


@pytest.mark.usefixtures("_opening")
def test_every_reader_says_that_the_store_it_opened_is_gone(path, grow, tmp_path):
    stores = {name: open_store(path) for name in READERS}
    grow()
    for name, reader in READERS.items():
        with pytest.raises(StoreReplacedError, match="open it again"):
            reader(stores[name], tmp_path)
    check(open_store(path), range(len(GROWN)))


@pytest.mark.usefixtures("_opening")
@pytest.mark.parametrize("way", ["replaced", "removed", "removed and made again"])
def test_a_store_that_was_removed_or_made_anew_is_not_read_as_the_old_one(path, kind, way):
    store = open_store(path)
    if way == "replaced":
        with StoreWriter(
            path, layout_of(GROWN, codec="none"), [f"{c + 50:064x}" for c in GROWN], "replace", kind[0]
        ) as w:
            write_missing(w, [f"{c + 50:064x}" for c in GROWN])
    else:
        shutil.rmtree(path)
        if "again" in way:
            write(path, GROWN, kind[0])
    with pytest.raises(StoreReplacedError):
        store.read([0])


def test_what_was_open_before_a_growth_is_read_as_before(path, grow, kind):
    store = open_store(path)
    store.read([0])  # maps the whole store; compressed chunks are read one by one
    grow()
    if kind[1]:
        check(store, range(4))
        with pytest.raises(StoreReplacedError):
            store.read([11])
    else:
        check(store, range(len(OLD)))


def test_between_exchange_and_removal_the_old_store_is_read_as_before(path, grow, monkeypatch):
    store = open_store(path)
    monkeypatch.setattr("udta.store._staging._remove", lambda _: None)
    monkeypatch.setattr("udta.store._staging.Staging._discard", lambda *_: None)
    grow()
    check(store, range(len(OLD)))
    check(open_store(path), range(len(GROWN)))


@pytest.mark.usefixtures("_opening")
def test_a_windowed_epoch_goes_on_with_its_own_rows_or_stops(path, grow):
    grow(range(60))  # more than is read ahead
    store = open_store(path)
    loader = FeatureLoader(store, split=None, batch_size=2, views=1, memory_budget=1, seed=3)
    delivered = []

    def epoch():
        for number, batch in enumerate(loader):
            rows = batch.rows.tolist()
            for tap, values in batch.taps.items():
                np.testing.assert_array_equal(values.numpy(), expected(store, tap, rows, 1))
            delivered.extend(rows)
            if number == 0:
                grow((90, *range(60)))

    with pytest.raises(StoreReplacedError):
        epoch()
    assert 2 <= len(delivered) < 60


class Interruption:
    """Runs `act` once, before or after the first call of a function that opening a store makes."""

    def __init__(self, monkeypatch, owner, name, when, act):
        self.done, original = False, getattr(owner, name)

        def interrupted(*args, **options):
            if self.done:
                return original(*args, **options)
            self.done = True
            if when == "before":
                act()
            result = original(*args, **options)
            result = list(result) if name == "records" else result
            if when == "after":
                act()
            return result

        monkeypatch.setattr(owner, name, interrupted)


POINTS = [(Ledger, "is_ours"), (Ledger, "stamp"), (Ledger, "check_seal"), (ZarrEngine, "load"), (Ledger, "records")]


@pytest.mark.usefixtures("_opening")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[name for _, name in POINTS])
def test_a_store_is_opened_as_it_was_at_one_moment(tmp_path, monkeypatch, owner, name, when):
    path = tmp_path / "store"
    write(path, OLD, "zarr")
    Interruption(monkeypatch, owner, name, when, lambda: write(path, GROWN, "zarr"))
    store = open_store(path)
    assert len(store) == len(GROWN)
    check(store, range(len(store)))


@pytest.mark.parametrize(("owner", "name"), POINTS[2:], ids=[name for _, name in POINTS[2:]])
def test_labels_and_classes_are_those_of_one_moment(tmp_path, monkeypatch, owner, name):
    path, before = tmp_path / "store", layout_of(OLD)
    write(path, OLD, "zarr")
    after = {"labels": 1 - before.labels, "classes": ("hund", "katze")}
    Interruption(monkeypatch, owner, name, "before", lambda: write(path, OLD, "zarr", **after))
    store = open_store(path)
    assert store.classes == ("hund", "katze")
    np.testing.assert_array_equal(store.labels, after["labels"])


def test_a_store_that_a_worker_process_opens_again_is_the_same_one(path, grow):
    packed = pickle.dumps(open_store(path))
    check(pickle.loads(packed), range(len(OLD)))
    grow()
    with pytest.raises(StoreReplacedError, match="open it again"):
        pickle.loads(packed)


def test_equal_stores_are_of_one_generation_whatever_way_they_were_made(tmp_path):
    write(tmp_path / "a", OLD, "zarr")
    write(tmp_path / "a", GROWN, "zarr")
    write(tmp_path / "b", GROWN, "zarr")
    a, b = (open_store(tmp_path / name).layout.generation for name in "ab")
    assert a == b
    write(tmp_path / "b", (*GROWN, 77), "zarr")
    assert open_store(tmp_path / "b").layout.generation != a


def test_a_verification_beside_a_growth_blames_no_block(path, grow, monkeypatch):
    Interruption(monkeypatch, Ledger, "blocks", "after", grow)
    with pytest.raises(StoreReplacedError):
        verify(path)
    assert verify(path).sound
