"""Two stores are the same where both have the same features of the same samples."""

from made_stores import block_features, make_hashes, make_layout, write_store

from udta.store import StoreWriter
from udta.store.diff import diff


def test_what_only_one_store_has_features_of_is_named(tmp_path):
    """A store that skipped an image, or is unfinished, passed for equal to one that has everything."""
    layout = make_layout()
    write_store(tmp_path / "whole", layout)
    write_store(tmp_path / "unfinished", layout, blocks=[0, 1])
    with StoreWriter(tmp_path / "skipped", layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            writer.write(block, block_features(layout, block), {5: "truncated"} if block == 1 else {})
    assert diff(tmp_path / "whole", tmp_path / "whole").equal
    assert diff(tmp_path / "skipped", tmp_path / "skipped").equal
    report = diff(tmp_path / "whole", tmp_path / "skipped")
    assert (report.only_a, report.only_b, report.equal) == (["cat/5.png"], [], False)
    report = diff(tmp_path / "unfinished", tmp_path / "whole")
    assert (report.only_a, report.only_b, report.equal) == ([], ["cat/9.png", "dog/8.png"], False)
