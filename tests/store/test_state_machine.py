"""Any sequence of writing, kills, growing, damage and repair: a committed row always holds what its image gives."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from made_stores import TAPS, feature, growing_layout, write_missing

from udta.store import StoreWriter, engine_at, open_store
from udta.store._ledger import Ledger
from udta.store.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class StoreMachine(RuleBasedStateMachine):
    """The model is what is asked for: contents of the images, number of taps and views. The store must follow."""

    engine: str

    @initialize(n=st.integers(1, 9))
    def begin(self, n):
        self.folder = Path(tempfile.mkdtemp(prefix="udta-machine-"))
        self.path = self.folder / "store"
        self.contents, self.next_content = list(range(n)), n
        self.n_taps, self.n_views = 1, 1
        self.damaged = False

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # --- what is asked

    @rule(position=st.integers(0, 99))
    def change_image(self, position):
        self.contents[position % len(self.contents)] = self.next_content
        self.next_content += 1

    @rule(position=st.integers(0, 99))
    def add_image(self, position):
        self.contents.insert(position % (len(self.contents) + 1), self.next_content)
        self.next_content += 1

    @precondition(lambda self: len(self.contents) > 1)
    @rule(position=st.integers(0, 99))
    def remove_image(self, position):
        del self.contents[position % len(self.contents)]

    @precondition(lambda self: self.n_taps < len(TAPS))
    @rule()
    def add_tap(self):
        self.n_taps += 1

    @precondition(lambda self: self.n_views < 3)
    @rule()
    def add_view(self):
        self.n_views += 1

    # --- what happens to the store

    @rule(blocks=st.integers(0, 4))
    def write(self, blocks):
        self._write(blocks)

    @rule(blocks=st.integers(0, 3))
    def kill_while_writing(self, blocks):
        child = os.fork()
        if not child:
            try:
                self._write(blocks)
                Ledger.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # chunks are there, their record is not
                self._write(1)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        self._leave_damage_behind()

    @rule()
    def write_all(self):
        self._write(99)
        store = open_store(self.path)
        assert store.complete
        assert [int(store.hashes[name], 16) for name in store.ids] == self.contents
        assert (len(store.taps), store.n_views) == (self.n_taps, self.n_views)
        assert not list(self.folder.glob(".*"))

    @precondition(lambda self: self._records())
    @rule(data=st.data())
    def flip_a_bit(self, data):
        engine = engine_at(self.path)
        record = engine.ledger.record(data.draw(st.sampled_from(self._records())))
        layout = engine.load()
        extents = engine.extents(layout, record)
        tap, view = data.draw(st.sampled_from(sorted(extents)))
        extent, size = extents[tap, view], int(np.prod(layout.taps[tap].shape)) * 2
        position = extent.offset + data.draw(st.integers(0, extent.rows * size - 1))
        content = bytearray(extent.path.read_bytes())
        content[position] ^= 1 << data.draw(st.integers(0, 7))
        extent.path.write_bytes(bytes(content))
        self.damaged = verify(self.path).damaged  # the second flip of a bit mends it

    @precondition(lambda self: self._records())
    @rule()
    def repair(self):
        assert verify(self.path, repair=True).damaged == self.damaged
        self.damaged = False
        assert not verify(self.path).damaged

    @invariant()
    def committed_rows_hold_what_their_images_give(self):
        if not hasattr(self, "path") or not self.path.exists() or self.damaged:
            return
        store = open_store(self.path)
        rows = [row for record in store.records.values() for row in range(record.start, record.stop)]
        for tap, values in store.read(rows).items():
            for row, views in zip(rows, values, strict=True):
                for view, value in enumerate(views):
                    expected = feature(store.taps[tap], store.hashes[str(store.ids[row])], view)
                    np.testing.assert_array_equal(value, expected)

    # ---

    def _records(self):
        engine = engine_at(self.path) if hasattr(self, "path") and self.path.exists() else None
        return engine.ledger.blocks() if engine else []

    def _write(self, blocks):
        layout = growing_layout(TAPS[: self.n_taps], self.n_views, tuple(f"{content}.png" for content in self.contents))
        hashes = [f"{content:064x}" for content in self.contents]
        with StoreWriter(self.path, layout, hashes, "replace", self.engine, prune=True) as writer:
            write_missing(writer, hashes, blocks)
        self._leave_damage_behind()

    def _leave_damage_behind(self):
        """A growth takes no damaged block over."""
        if self.damaged:
            self.damaged = verify(self.path).damaged


class ZarrMachine(StoreMachine):
    engine = "zarr"


class Hdf5Machine(StoreMachine):
    engine = "hdf5"


_SETTINGS = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TestZarrMachine = ZarrMachine.TestCase
TestHdf5Machine = Hdf5Machine.TestCase
TestZarrMachine.settings = TestHdf5Machine.settings = _SETTINGS
