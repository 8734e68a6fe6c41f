"""The default split keeps byte-identical files on one side, and is what it was where there are none."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udta.images import read_images
from udta.images._splits import split_notes, stratified_splits


def put(root, **contents):
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_jpg", ".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def by_id(ids, labels, seed):
    """The rule as it was before copies were looked at."""
    split = {}
    for label in set(labels):
        names = sorted(
            (name for name, of in zip(ids, labels, strict=True) if of == label),
            key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest(),
        )
        n_train = max(1, min(round(0.7 * len(names)), len(names) - 1))
        split |= {name: "train" if rank < n_train else "test" for rank, name in enumerate(names)}
    return tuple(split[name] for name in ids)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=1, max_size=60), st.integers(0, 3))
def test_copies_are_on_one_side_and_nothing_else_moves(rows, seed):
    labels = [label for label, _ in rows]
    ids = [f"{label}/{number}" for number, label in enumerate(labels)]
    contents = [str(content) for _, content in rows]
    splits = stratified_splits(ids, labels, contents, seed)
    sides = {
        content: {side for side, of in zip(splits, contents, strict=True) if of == content} for content in contents
    }
    assert all(len(side) == 1 for side in sides.values())
    assert stratified_splits(ids, labels, ids, seed) == by_id(ids, labels, seed)
    owners = Counter(content for content in contents)
    for label in set(labels):
        own = [row for row, of in enumerate(labels) if of == label]
        if all(
            {labels[row] for row, of in enumerate(contents) if of == contents[own_row]} == {label} for own_row in own
        ):
            # a class that shares nothing with another has both sides, if it has two different images
            assert {"train"} <= {splits[row] for row in own}
            assert len({splits[row] for row in own}) == min(2, len({contents[row] for row in own}))
            largest = max(owners[contents[row]] for row in own)
            assert abs(sum(splits[row] == "train" for row in own) - 0.7 * len(own)) <= max(largest, 1.5)


def test_what_a_split_holds_twice_is_said(tmp_path):
    put(tmp_path, cat__1_jpg=b"a", cat__2_jpg=b"a", cat__3_jpg=b"b", dog__1_jpg=b"a", dog__2_jpg=b"c")
    manifest = read_images(tmp_path)
    assert len({manifest.splits[row] for row in (0, 1, 3)}) == 1
    assert manifest.notes == (
        "1 file(s) have byte-identical copies in more than one class: one of the labels is wrong: "
        "cat/1.jpg = cat/2.jpg = dog/1.jpg",
    )
    put(tmp_path / "layout", train__cat__1_jpg=b"a", test__cat__1_jpg=b"a", test__emu__1_jpg=b"d")
    notes = read_images(tmp_path / "layout").notes
    assert (
        "copies in more than one split: what is tested there was trained on: train/cat/1.jpg = test/cat/1.jpg"
        in notes[1]
    )
    assert notes[2] == "1 class(es) have no training image, so that no adapter can learn them: emu"


@pytest.mark.parametrize("splits", [("train", "test"), ("test", "test")])
def test_files_that_cannot_be_read_are_no_copies_of_each_other(splits):
    assert not any("copies" in note for note in split_notes(("a", "b"), ("x", "x"), ("0" * 64,) * 2, splits))
    assert set(stratified_splits(("a", "b"), ("x", "x"), ("0" * 64,) * 2, 0)) == {"train", "test"}
