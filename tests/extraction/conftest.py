"""Fixtures of the tests of several stores."""

from collections import Counter

import pytest
from toy import photographs

from udta.images import EncodedImage


@pytest.fixture
def images(tmp_path, monkeypatch):
    """96 images in blocks of 16."""
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 16)
    return photographs(tmp_path / "photos", per_class=32)


@pytest.fixture
def work(monkeypatch):
    """How often each image was opened, and how often decoded."""
    opened, decoded = Counter(), Counter()
    begin, decode = EncodedImage.__init__, EncodedImage._decode

    def counted_begin(self, content, name):
        opened[name] += 1
        begin(self, content, name)

    def counted_decode(self, reduction, pixels):
        decoded[self._name] += 1
        return decode(self, reduction, pixels)

    monkeypatch.setattr(EncodedImage, "__init__", counted_begin)
    monkeypatch.setattr(EncodedImage, "_decode", counted_decode)
    return opened, decoded
