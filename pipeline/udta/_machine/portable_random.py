"""Random bits that are the same on every machine and in every version of everything."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt64


def random_bits(index: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """64 random bits of every index."""
    # The finaliser of SplitMix64 (Steele, Lea and Flood, 2014, https://doi.org/10.1145/2660193.2660195): NumPy's own generators
    # do not promise the same numbers in the next version (NEP 19), nor do torch's. Products wrap at 64 bits, as they must.
    mixed: np.ndarray = index * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result


def random_signs(rows: int, columns: int, seed: int) -> np.ndarray:
    """A matrix of -1 and 1 (int8), each by a coin of its own."""
    # Streams of two seeds do not overlap: a matrix of 64 * 2^40 signs fits no memory. From 1, because 0 is mixed to 0.
    words = (np.uint64(seed) << np.uint64(40)) + np.arange(1, 1 - (-rows * columns // 64), dtype=np.uint64)
    # Little-endian whatever the machine is, so that the order of bits is.
    bits = np.unpackbits(random_bits(words).astype("<u8").view(np.uint8), bitorder="little")
    signs: np.ndarray = 2 * bits[: rows * columns].reshape(rows, columns).astype(np.int8) - 1
    return signs
