"""A reader that is in the registry is asked, and errors name what it takes."""

import json
from pathlib import Path

import pytest
from toy import put

from udta.errors import DataError
from udta.images import read_images, read_unlabelled
from udta.images._listing import Listing, Reader
from udta.images.readers import READERS


class JsonLines(Reader):
    takes = "a .jsonl file"

    def accepts(self, images):
        return images.endswith(".jsonl")

    def read(self, images, *, missing):
        rows = [json.loads(line) for line in Path(images).read_text().splitlines()]
        return Listing(Path(images).parent, tuple(row["path"] for row in rows), tuple(row["label"] for row in rows))


def test_a_reader_that_is_added(tmp_path, monkeypatch):
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "d.jsonl").write_text('{"path": "b.jpg", "label": "x"}\n')
    with pytest.raises(DataError, match="is neither a folder nor"):
        read_images(tmp_path / "d.jsonl")
    monkeypatch.setattr("udta.images.readers.registry.READERS", [*READERS, JsonLines()])
    assert read_images(tmp_path / "d.jsonl").classes == ("x",)
    assert read_unlabelled(tmp_path / "d.jsonl").ids == ("b.jpg",)
    assert read_unlabelled([str(tmp_path / "d.jsonl"), str(tmp_path / "a.jpg")]).ids == (
        (tmp_path / "b.jpg").as_posix(),
        (tmp_path / "a.jpg").as_posix(),
    )
    with pytest.raises(
        DataError, match=r"give a folder or a \.csv or \.parquet file or .* or a \.jsonl file or .* or name:folder"
    ):
        read_images(tmp_path / "nowhere")
