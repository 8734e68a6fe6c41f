"""The nearest images of an image."""

import json

import numpy as np
import pytest

import udta
from udta.errors import ConfigError


def test_neighbours_are_those_of_centred_averages(planted_store):
    store = udta.open_store(planted_store)
    found = udta.similar(store, "bird/001.png", top=5)
    vectors = store.read(store.rows(), ["stage2"], [0], dtype="float32")["stage2"][:, 0].mean(axis=(2, 3))
    vectors -= vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = store.ids.tolist().index("bird/001.png")
    cosines = vectors @ vectors[own]
    order = [row for row in np.argsort(-cosines) if row != own][:5]
    assert found.neighbours["path"] == store.ids[order].tolist()
    assert np.allclose(found.neighbours["cosine"], cosines[order], atol=1e-5)


def test_a_name_that_is_not_there_is_said_with_the_nearest(planted_store):
    with pytest.raises(ConfigError, match=r"did you mean 'bird/001\.png'"):
        udta.similar(planted_store, "bird/0001.png")
    with pytest.raises(ConfigError, match="no tap 'stage3'"):
        udta.similar(planted_store, "bird/001.png", tap="stage3")
    with pytest.raises(ConfigError, match="top is 0"):
        udta.similar(planted_store, "bird/001.png", top=0)


def test_the_verb_lists_them(planted_store, udta_command):
    status, out, _ = udta_command("similar", planted_store, "cat/002.png", "--top", "2", "--json")
    assert status == 0
    assert json.loads(out)["neighbours"][0]["path"] == "cat/recompressed.jpg"
    status, out, _ = udta_command("similar", planted_store, "cat/002.png", "--top", "2")
    assert "cat/recompressed.jpg" in out
