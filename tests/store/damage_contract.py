"""What a store promises when its files are damaged."""

import pytest
from engine_contract import EngineContract
from made_stores import make_hashes, tree, write_store

from udta.errors import CorruptStoreError, NotAStoreError
from udta.store import StoreWriter, engine_at, open_store


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
        monkeypatch.setattr("udta.store.layout.FORMAT_VERSION", 99)
        write_store(path, layout)
        with pytest.raises(NotAStoreError, match="newer"):
            open_store(path)
