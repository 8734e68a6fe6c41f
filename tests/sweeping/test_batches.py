"""A training's own batches out of a common stream."""

import numpy as np
import torch

from udta.loader import Batch
from udta.sweeping.batches import Rebatch


def stream(order, size):
    for start in range(0, len(order), size):
        rows = torch.tensor(order[start : start + size])
        yield Batch({"t": rows[:, None].float()}, rows % 3, rows)


def epoch(feed, order, size):
    return [ready for batch in stream(order, size) for ready in feed.feed(batch)] + list(feed.flush())


def test_every_wanted_row_comes_once_in_the_order_of_the_stream():
    order = np.random.default_rng(0).permutation(50).tolist()
    wanted = np.arange(0, 50, 3)
    feed = Rebatch(wanted, 4, 50)
    for _ in range(2):
        batches = epoch(feed, order, 7)
        assert [len(batch) for batch in batches] == [4, 4, 4, 4, 1]
        assert len(batches) == len(feed)
        rows = [row for batch in batches for row in batch.rows.tolist()]
        assert rows == [row for row in order if row % 3 == 0]
        for batch in batches:
            assert torch.equal(batch.taps["t"][:, 0].long(), batch.rows)
            assert torch.equal(batch.labels, batch.rows % 3)


def test_larger_batches_than_those_of_the_stream_are_joined():
    batches = epoch(Rebatch(np.arange(20), 16, 20), list(range(20)), 6)
    assert [batch.rows.tolist() for batch in batches] == [list(range(16)), list(range(16, 20))]


def test_batches_that_fit_are_not_copied():
    [batch] = stream(list(range(8)), 8)
    [ready] = Rebatch(np.arange(8), 8, 8).feed(batch)
    assert ready.taps["t"].data_ptr() == batch.taps["t"].data_ptr()
