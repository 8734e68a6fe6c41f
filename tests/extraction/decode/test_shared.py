"""Shared views: made once, the same for everybody, bounded, and nobody ever waits for what does not come."""

import math
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udta.errors import ImageError
from udta.extraction._meter import Meter
from udta.extraction.decode import _shared as shared_views
from udta.extraction.decode._shared import SharedViews, StoppedExtraction
from udta.images._pixel_spec import RGB

BATCH, PREFETCH, AHEAD, TOTAL = 4, 2, 8, 60
LONG_S = 20.0  # nothing here takes a second: a thread that lives after this is stuck


class Rows:
    """A manifest of which every sample is its row; row 13 is a bad image."""

    def __len__(self):
        return TOTAL

    def sample(self, row):
        return type("Sample", (), {"id": str(row), "sha256": str(row), "row": row})()


class Shifted:
    """A view is [row, view + shift]; transforms of the same shift are the same one."""

    seed, pixels = 0, RGB

    def __init__(self, shift):
        self.shift = shift

    def transform(self, view):
        return self.shift

    def view(self, image, sha256, view):
        if self.shift == 2 and sha256 == "7":
            raise ImageError(sha256, "is nothing for this transform")
        return np.array([int(sha256), view + self.shift])


@pytest.fixture(autouse=True)
def read(monkeypatch):
    """How often each row was read."""
    count = Counter()

    def read_image(manifest, row, meter):
        count[row] += 1
        time.sleep(0.0002 * (row % 3))
        if row == 13:
            raise ImageError("13", "is a bad image")
        return b""

    monkeypatch.setattr(shared_views, "read_image", read_image)
    monkeypatch.setattr(shared_views, "EncodedImage", lambda content, name: SimpleNamespace(colour_problem=""))
    monkeypatch.setattr(shared_views, "make_views", lambda *_: "made alone")
    return count


def expected(shift, row, which):
    return "bad" if row == 13 or (shift == 2 and row == 7) else [[row, view + shift] for view in which]


def paced(reader, batches):
    """The same batches, each when it may begin."""
    for batch in batches:
        reader.wait_to_begin(batch)
        yield batch


class Extraction:
    """What an extraction does with a reader: batches decoded ahead in a pool of its own, taken in order."""

    def __init__(self, shared, shift, which, rows, pause, leaves_after=math.inf):
        self.shared, self.shift, self.which, self.pause, self.leaves_after = shared, shift, which, pause, leaves_after
        self.rows, self.views, self.got, self.most = rows, Shifted(shift), {}, 0
        self.reader = shared.reader(self.views, which, np.array(rows, dtype=int))
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        batches = [self.rows[start : start + BATCH] for start in range(0, len(self.rows), BATCH)]
        pending = deque()
        try:
            with ThreadPoolExecutor(2) as pool:
                for number, batch in enumerate(paced(self.reader, batches)):
                    if number >= self.leaves_after:
                        pool.shutdown(cancel_futures=True)
                        return
                    pending.append([pool.submit(self.make, row) for row in batch])
                    if len(pending) > PREFETCH:
                        self.collect(pending.popleft())
                while pending:
                    self.collect(pending.popleft())
        except StoppedExtraction:
            self.got["stopped"] = True
        finally:
            self.reader.leave()

    def make(self, row):
        try:
            views = self.reader.make(None, row, self.views, self.which, Meter())
        except ImageError:
            views = "bad"
        self.most = max(self.most, len(self.shared._made))
        return row, views if isinstance(views, str) else views.tolist()

    def collect(self, futures):
        self.got |= dict(future.result() for future in futures)
        time.sleep(self.pause)

    @property
    def right(self):
        return all(views == expected(self.shift, row, self.which) for row, views in self.got.items())


def together(*extractions):
    for extraction in extractions:
        extraction.thread.start()
    for extraction in extractions:
        extraction.thread.join(LONG_S)
        assert not extraction.thread.is_alive(), "stuck"


def test_every_row_is_read_once_and_everybody_gets_views_of_their_own(read):
    shared = SharedViews(Rows(), AHEAD)
    every = list(range(TOTAL))
    readers = [Extraction(shared, shift, which, every, 0) for shift, which in ((0, [0]), (1, [0, 1, 2]), (2, [1, 0]))]
    together(*readers)
    assert read == Counter(every)
    for reader in readers:
        assert reader.right
        assert sorted(reader.got) == every
    assert not shared._made


def test_a_fast_one_waits_so_that_little_is_kept(read):
    shared = SharedViews(Rows(), AHEAD)
    every = list(range(TOTAL))
    fast, slow = Extraction(shared, 0, [0], every, 0), Extraction(shared, 1, [0], every, 0.01)
    together(fast, slow)
    # Behind the rearmost batch that has begun lie the batches that its extraction decodes ahead.
    assert fast.most <= AHEAD + (PREFETCH + 2) * BATCH < TOTAL
    assert read == Counter(every)


def test_a_reader_without_rows_neither_waits_nor_holds_up_anybody():
    shared = SharedViews(Rows(), AHEAD)
    shared.reader(Shifted(0), [0], np.array([], dtype=int))
    late = Extraction(shared, 1, [0], list(range(50, TOTAL)), 0)
    alone = shared.reader(Shifted(1), [0], np.empty(0, int))
    assert list(paced(alone, [[40], [3]])) == [[40], [3]]
    assert alone.make(None, 3, Shifted(1), [0], Meter()) == "made alone"
    together(late)
    assert late.right


def test_stopping_wakes_those_that_wait():
    shared = SharedViews(Rows(), AHEAD)
    rearmost = shared.reader(Shifted(0), [0], np.array([0]))
    waiting = Extraction(shared, 1, [0], list(range(TOTAL)), 0)
    waiting.thread.start()
    waiting.thread.join(0.05)
    assert waiting.thread.is_alive()
    shared.stop()
    waiting.thread.join(LONG_S)
    assert waiting.got["stopped"]
    with pytest.raises(StoppedExtraction):
        next(iter(paced(rearmost, [[0]])))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),  # transform
            st.sampled_from([(0,), (0, 1), (2,)]),
            st.sets(st.integers(0, TOTAL - 1)).map(sorted) | st.just(list(range(TOTAL))),
            st.sampled_from([0, 0.0005, 0.002]),
            st.just(math.inf) | st.integers(0, 5),  # leaves before this batch
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_rows_speeds_and_ends_all_get_theirs_and_nobody_is_stuck(asked):
    shared = SharedViews(Rows(), AHEAD)
    readers = [Extraction(shared, *one) for one in asked]
    together(*readers)
    for reader in readers:
        assert reader.right
        if reader.leaves_after == math.inf:
            assert sorted(reader.got) == reader.rows
        assert reader.most <= AHEAD + (PREFETCH + 2) * BATCH
    assert not shared._made
