"""What a store promises when its files are damaged."""

import os
import resource
import threading

import numpy as np
import pytest
from engine_contract import EngineContract
from made_stores import all_features, block_features, make_hashes, make_layout, tree, write_store

from udta.errors import CorruptStoreError, NotAStoreError, StoreError
from udta.store import StoreWriter, engine_at, open_store
from udta.store.verify import verify


class DamageContract(EngineContract):
    """An error that says where, and what mends it."""

    def test_a_truncated_or_missing_chunk_is_an_error(self, path, layout):
        write_store(path, layout)
        chunk = self.some_file_of_block(path, 1)
        chunk.write_bytes(chunk.read_bytes()[:-3])
        with pytest.raises(CorruptStoreError, match=r"block.*--repair"):
            open_store(path).read([4])
        chunk.unlink()
        with pytest.raises(CorruptStoreError, match="missing"):
            open_store(path).read([4])

    def test_a_damaged_record_is_named(self, path, layout):
        write_store(path, layout)
        record = self.record(path, 1)
        record.write_text(record.read_text()[:40])
        with pytest.raises(CorruptStoreError, match="ledger record cannot be read"):
            open_store(path)

    def test_a_record_that_was_edited_or_moved_is_refused(self, path, layout):
        write_store(path, layout)
        record = self.record(path, 1)
        original = record.read_text()
        record.write_text(original.replace("cat/5.png", "cat/6.png"))
        with pytest.raises(CorruptStoreError, match="checksum does not fit"):
            open_store(path)
        record.write_text(self.record(path, 0).read_text())
        with pytest.raises(CorruptStoreError, match="that of block 0"):
            open_store(path)

    def test_damaged_metadata_is_an_error_and_extracting_again_mends_it(self, path, layout):
        write_store(path, layout)
        before = tree(path)
        for name in [name for name in before if "ledger" not in name and "/c." not in name and "blocks" not in name]:
            content = bytearray(before[name])
            content[len(content) // 2] ^= 4
            (path / name).write_bytes(bytes(content))
            with pytest.raises(CorruptStoreError, match="missing or changed"):
                open_store(path)
            with StoreWriter(path, layout, make_hashes(layout)) as writer:
                assert writer.missing == []
            assert tree(path) == before

    def test_an_interrupted_change_of_labels_is_an_error_until_it_is_finished(self, path, layout):
        write_store(path, layout)
        engine_at(path).ledger.break_seal(layout.attributes())
        with pytest.raises(CorruptStoreError, match="interrupted"):
            open_store(path)
        write_store(path, layout)
        assert open_store(path).complete

    def test_a_store_of_a_newer_format_is_refused_by_name(self, path, layout, monkeypatch):
        monkeypatch.setattr("udta.store._layout.FORMAT_VERSION", 99)
        write_store(path, layout)
        with pytest.raises(NotAStoreError, match="newer"):
            open_store(path)

    @pytest.mark.parametrize("kept", [0, 7, -3])
    def test_a_compressed_chunk_that_was_cut_off_is_damage_to_everybody_and_can_be_mended(self, path, kept):
        """gzip raises an EOFError, which a command line takes for the end of its input."""
        layout = make_layout(codec="gzip")
        write_store(path, layout)
        chunk = self.some_file_of_block(path, 1)
        chunk.write_bytes(chunk.read_bytes()[:kept])
        with pytest.raises(CorruptStoreError, match=r"000001|c\.1\.0.*--repair"):
            open_store(path).read([4])
        larger = make_layout(12, codec="gzip")
        with StoreWriter(path, larger, make_hashes(larger)) as writer:
            assert writer.missing == [1, 2]  # a growth takes nothing over from it
            writer.recall(2, {tap: np.zeros((4, 2, *spec.shape), spec.dtype) for tap, spec in layout.taps.items()})
        [bad] = verify(path, repair=True).bad
        assert bad.block == 1
        write_store(path, layout)
        assert verify(path).sound

    def test_a_compressed_chunk_with_other_values_is_refused_on_reading(self, path):
        layout, other = make_layout(codec="gzip"), path.with_name("other")
        write_store(path, layout)
        with StoreWriter(other, layout, make_hashes(layout)) as writer:
            writer.write(1, block_features(layout, 1, seed=1))
        self.some_file_of_block(path, 1).write_bytes(self.some_file_of_block(other, 1).read_bytes())
        with pytest.raises(CorruptStoreError, match="--repair"):
            open_store(path).read([4])

    def test_a_lost_record_is_damage_and_an_unfinished_store_is_not_sound(self, path, layout):
        write_store(path, layout, blocks=[0])
        report = verify(path)
        assert (report.damaged, report.complete, report.sound) == (False, False, False)
        assert "UNFINISHED; 1 of 3 blocks" in str(report)
        write_store(path, layout)
        assert verify(path).sound
        self.record(path, 1).unlink()
        report = verify(path)
        assert [(bad.block, bad.reason) for bad in report.bad] == [(1, "its ledger record is missing")]
        assert not report.sound
        verify(path, repair=True)
        assert (verify(path).damaged, verify(path).complete) == (False, False)
        write_store(path, layout)
        assert verify(path).sound

    @pytest.mark.parametrize("limit", [9_000, 60_000])
    @pytest.mark.parametrize("codec", ["none", "gzip"])
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_no_room_is_an_error_that_costs_one_block_and_no_process(self, path, codec, limit):
        """A limit on the size of files fails as a full disk does, in the middle of a write."""
        layout = make_layout(256, block_rows=128, codec=codec)
        layout.taps["head"] = layout.taps["head"].__class__("head", "avg", (5, 40), "float32")
        write_store(path, layout, blocks=[0])
        child = os.fork()
        if not child:
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                write_store(path, layout)
            except StoreError as error:
                os._exit(3 if "File too large" in str(error) and "1 of 2 blocks are committed" in str(error) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert len(open_store(path).records) == 1
        assert not list(path.rglob("*.partial"))
        write_store(path, layout)
        expected = all_features(layout)
        for tap, values in open_store(path).read(range(256)).items():
            np.testing.assert_array_equal(values, expected[tap])

    def test_threads_that_miss_one_chunk_count_it_once(self, path, monkeypatch):
        write_store(path, make_layout(codec="gzip"))
        store, meet = open_store(path), threading.Barrier(2)
        rows, chunk = store.rows_of("head"), type(engine_at(path)).chunk

        def together(*args):
            meet.wait(20)
            return chunk(*args)

        monkeypatch.setattr(type(engine_at(path)), "chunk", together)
        threads = [threading.Thread(target=store.read, args=([0], ["head"], [0])) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert rows.cached_bytes == 4 * 5 * 4
