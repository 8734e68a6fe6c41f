"""Names out of a file: which are taken, and which lead elsewhere."""

import pytest

from udta._files.names import document_problem, labels_problem, path_problem, tap_problem


def test_names_that_modules_have_are_taken():
    for name in (
        "features.13",
        "layer4.0.conv2",
        "blocks.11",
        "encoder.layers.encoder_layer_3",
        "stufe.größe",
        "a-b.c+d",
    ):
        assert tap_problem(name) is None


@pytest.mark.parametrize(
    "names",
    [["/etc/passwd"], ["a/../../b"], ["a/.."], [""], ["a\0b"], ["a//b"], ["a/"], ["./a"], ["a", "\ud800"], ["b/../c"]],
)
def test_names_of_images_that_are_no_relative_paths_are_refused(names):
    assert path_problem(["fine.png", *names])


def test_names_that_files_have_are_taken():
    names = [
        "a b/ü.png",
        "../lists/a.png",
        "../../x.png",
        "a\nb.png",
        "\x1b[31m.png",
        "..a/b..png",
        "a/...png",
        "c\\d.png",
    ]
    assert path_problem(names) is None
    assert path_problem([]) is None
    assert labels_problem(["a\tb", "=x"], "class") is None


def test_documents_are_shallow_and_finite():
    deep = 1.0
    for _ in range(40):
        deep = [deep]
    assert "nested" in document_problem({"a": deep})
    assert "finite" in document_problem({"a": [{"b": float("nan")}]})
    assert document_problem({"a": [{"b": 1.5}]}) is None
