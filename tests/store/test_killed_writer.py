"""Writers that are killed with -9 at random moments: what was committed stays, and the next writer finishes the rest."""

import os
import random
import signal
import time

import numpy as np
import pytest
from made_stores import all_features, block_features, make_hashes, make_layout, tree, write_store

from udta.store import ENGINES, StoreWriter, open_store

SEED = 20_220_310


def _write_in_child(path, layout, engine):
    """Fork a writer that needs no new import; it exits 0 when everything is committed."""
    child = os.fork()
    if child:
        return child
    try:
        with StoreWriter(path, layout, make_hashes(layout), format=engine) as writer:
            for block in writer.missing:
                writer.write(block, block_features(layout, block))
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("kills", [5, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads; the child uses none
def test_kills_cost_no_committed_row_and_end_in_the_uninterrupted_store(tmp_path, engine, kills):
    """Fast: forked children. A store is begun anew when one is complete, so that every moment of its life is hit."""
    layout, rng = make_layout(48, block_rows=4), random.Random(SEED)
    expected = all_features(layout)
    whole = tmp_path / "whole"
    started = time.monotonic()
    write_store(whole, layout, format=engine)
    life, reference = time.monotonic() - started, tree(whole)
    killed = finished = 0
    path = tmp_path / "store-0"
    while killed < kills or not finished:
        child = _write_in_child(path, layout, engine)
        # Longer and longer, so that it ends on a busy machine too.
        time.sleep(rng.uniform(0, life) * (0.5 + killed / kills))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"seed {SEED}"
        if not path.exists():
            continue
        store = open_store(path)
        committed = [row for block in store.records for row in range(*layout.block_range(block))]
        for tap, values in store.read(committed).items():
            np.testing.assert_array_equal(values, expected[tap][committed], err_msg=f"seed {SEED}")
        if store.complete:
            # A kill between the last record and the seal that says so leaves that to the next writer.
            write_store(path, layout, format=engine)
            assert tree(path) == reference
            finished += 1
            path = tmp_path / f"store-{finished}"
    write_store(path, layout, format=engine)
    assert tree(path) == reference
    # The only other thing that may lie there is the folder that the last killed writer of a store worked in.
    names = {entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".udta")}
    assert names == {"whole", *(f"store-{index}" for index in range(finished + 1))}
