"""Stores that tests grow by other images: the values of each depend on what it holds, so that any mix-up is seen."""

import os

import numpy as np
from made_stores import TAPS, feature, growing_layout, write_missing

from udta import open_store
from udta.store import StoreWriter

OLD, GROWN = tuple(range(12)), (90, 91, 92, *range(12), 93)


def writer_of(path, contents, engine="zarr", if_stale="refuse"):
    layout = growing_layout(TAPS, 2, tuple(f"{content}.png" for content in contents))
    return StoreWriter(path, layout, [f"{content:064x}" for content in contents], if_stale, engine)


def write(path, contents, engine="zarr", blocks=None):
    with writer_of(path, contents, engine) as writer:
        return write_missing(writer, [f"{content:064x}" for content in contents], blocks)


def check(path, contents):
    store = open_store(path)
    assert [int(store.hashes[str(name)], 16) for name in store.ids] == list(contents)
    for tap, values in store.read(range(len(store))).items():
        for row, content in enumerate(contents):
            for view in range(2):
                np.testing.assert_array_equal(values[row, view], feature(store.taps[tap], f"{content:064x}", view))


def in_child(work):
    """Run `work` in a forked process, which `die` ends; returns its exit status."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(*_, **__):
    os._exit(9)
