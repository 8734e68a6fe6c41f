"""The nearest images of an image."""

import json

import numpy as np
import pytest

import udta
from udta.errors import ConfigError, StaleStoreError


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


def test_a_file_goes_through_the_backbone_and_finds_itself_first(planted_store):
    store = udta.open_store(planted_store)
    file = f"{store.source['images']}/cat/002.png"
    live = udta.similar(store, file, top=4, backbone="toy:net").neighbours
    stored = udta.similar(store, "cat/002.png", top=3).neighbours
    assert live["path"] == ["cat/002.png", *stored["path"]]
    assert np.allclose(live["cosine"], [1, *stored["cosine"]], atol=1e-3)


def test_another_backbone_is_refused_for_a_file(planted_store, photos):
    file = next(photos.rglob("*.png"))
    with pytest.raises(StaleStoreError, match="another backbone"):
        udta.similar(planted_store, file, backbone=udta.build_backbone("toy:net?width=9"))
