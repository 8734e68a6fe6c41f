"""Samples that are gathered, all of them or some."""

import torch
from adapter_contract import VECTORS, every_view

from udta.adapters.samples import at_most, gather


def test_all_samples_are_handed_on_as_they_are():
    batches = every_view(VECTORS)
    assert list(at_most(24, batches, 24)) == batches


def test_some_samples_are_a_random_part_in_order_and_always_the_same():
    batches = every_view(VECTORS)
    whole = gather(batches, lambda taps: taps["b"])
    first, second = (gather(at_most(10, batches, 24), lambda taps: taps["b"]) for _ in range(2))
    assert torch.equal(first.features, second.features)
    assert len(first.labels) == 10
    places = [int((whole.features == row).all(dim=1).nonzero()[0, 0]) for row in first.features]
    assert places == sorted(set(places)) != list(range(10))
    assert torch.equal(whole.labels[places], first.labels)
    assert torch.equal(whole.images[places], first.images)


def test_a_batch_of_which_nothing_is_kept_is_left_out():
    assert sum(len(part.labels) for part in at_most(1, every_view(VECTORS), 24)) == 1
    assert len(list(at_most(1, every_view(VECTORS), 24))) == 1
