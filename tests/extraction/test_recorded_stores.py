"""Stores are what they were: the bytes of three of them were recorded when the code lay elsewhere."""

import json

from recorded_stores import FILE, record


def test_three_stores_have_the_bytes_that_were_recorded():
    assert record() == json.loads(FILE.read_text())
