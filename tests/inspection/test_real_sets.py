"""On real photographs: planted copies are the first leaks, changed labels the first suspects."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

pytestmark = pytest.mark.slow


def test_planted_copies_and_changed_labels_are_found(real_data, monkeypatch):
    from benchmarks.inspection import measure

    monkeypatch.setenv("UDTA_REAL_DATA", str(real_data))
    found = measure("mobilenet_v2", "monkeys", seeds=1)
    assert found["leaks"]["found_in_first_22"] == 20
    assert found["leaks"]["false_in_first_22"] <= 2
    assert found["labels"]["recall_in_first_10_percent"][0] >= 0.8
