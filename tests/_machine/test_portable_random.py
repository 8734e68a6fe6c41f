"""Random bits: always these, and random."""

import numpy as np

from udta._machine.portable_random import random_bits, random_signs


def test_bits_are_those_of_splitmix64():
    """The first outputs of Vigna's splitmix64.c, whose state grows by the same constant before it is mixed, from seed 0."""
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert random_bits(np.arange(1, 5, dtype=np.uint64)).tolist() == expected


def test_signs_are_always_these():
    # 0xAF, the last byte of the first output, from its lowest bit on.
    assert random_signs(2, 4, 0).tolist() == [[1, 1, 1, 1], [-1, 1, -1, 1]]


def test_signs_are_fair_and_seeds_independent():
    first, second = random_signs(300, 400, 1).astype(float), random_signs(300, 400, 2)
    assert abs(first.mean()) < 0.01
    assert abs((first * second).mean()) < 0.01
    assert np.abs(first.mean(axis=0)).max() < 0.25
    assert np.abs(first.mean(axis=1)).max() < 0.25
