"""Which rows are measured."""

import numpy as np
import pytest

import udta
from udta.errors import ConfigError
from udta.scoring import labelled_rows


def test_rows_must_be_labelled(toy_store):
    store = udta.open_store(toy_store)
    with pytest.raises(ConfigError, match="at least one"):
        labelled_rows(store, "train", [])
    store.labels = np.where(np.arange(len(store)) == 3, -1, store.labels)
    assert 3 not in labelled_rows(store, "train")
    with pytest.raises(ConfigError, match="must have a label"):
        labelled_rows(store, "train", [2, 3])
