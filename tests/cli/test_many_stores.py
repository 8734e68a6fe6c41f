"""`udta extract` and `udta plan` with several backbones in one command."""

import json

import pytest
from toy import photographs

import udta

TWO = ("--backbone", "toy:net", "--backbone", "toy:net?width=9", "--taps", "stage1=grid(4),stage2=avg", "--views", "2")


@pytest.fixture
def places(tmp_path):
    return [argument for name in ("a", "b") for argument in ("--out", tmp_path / name)]


def test_two_backbones_make_two_stores_and_a_list(udta_command, photos, tmp_path, places):
    status, out, err = udta_command("extract", photos, *TWO, *places, "--json")
    assert status == 0, err
    assert [(report["store"], report["rows"]) for report in json.loads(out)] == [
        (str(tmp_path / name), 24) for name in ("a", "b")
    ]
    assert "48/48 rows" in err
    assert udta.open_store(tmp_path / "b").taps["stage1"].shape[0] == 9
    status, out, _ = udta_command("extract", photos, *TWO, *places)
    assert out.count("every block was there already") == 2


def test_the_kth_of_each_belong_together(udta_command, photos, tmp_path, places):
    own = ("--backbone", "toy:net", "--taps", "stage1=grid(4)", "--taps", "stage2", "--compute", "float32")
    transforms = ("--transform", "resize(16,16)", "--transform", "resize(12,12)")
    status, _, err = udta_command("extract", photos, *own, *transforms, *places)
    assert status == 0, err
    a, b = udta.open_store(tmp_path / "a"), udta.open_store(tmp_path / "b")
    assert (list(a.taps), list(b.taps)) == (["stage1"], ["stage2"])
    assert b.fingerprint.fields["input"]["evaluate"] == "resize(12,12)"


def test_one_store_is_reported_as_one_document(udta_command, photos, tmp_path):
    one = ("--backbone", "toy:net", "--taps", "stage1=grid(4)", "--out", tmp_path / "a")
    for verb in ("plan", "extract"):
        status, out, err = udta_command(verb, photos, *one, "--json")
        assert status == 0, err
        assert json.loads(out)["rows"] == 24


def test_a_plan_of_several_stores_is_a_list(udta_command, photos, tmp_path, places):
    status, out, err = udta_command("plan", photos, *TWO, *places, "--json")
    assert status == 0, err
    assert [(plan["state"], plan["compute_images"]) for plan in json.loads(out)] == [("new", 48)] * 2
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("--out", "a"), ["--out is given once, but there are 2 stores: give it 2 times"]),
        (("--out", "a", "--out", "a"), ["two stores are to be written to"]),
        (
            ("--out", "a", "--out", "b", "--out", "c"),
            ["--backbone is given 2 times, but there are 3 stores: give it 3 times, or once for all"],
        ),
        (
            ("--out", "a", "--out", "b", "--transform", "resise(3)", "--transform", "resize(16,16)"),
            ["backbone toy:net for a: ", "'resize'"],
        ),
    ],
)
def test_what_does_not_belong_together_is_bad_usage(udta_command, photos, tmp_path, monkeypatch, arguments, messages):
    monkeypatch.chdir(tmp_path)
    status, _, err = udta_command("extract", photos, *TWO, *arguments)
    assert status == 2
    for message in messages:
        assert message in err
    assert not list(tmp_path.iterdir())


def test_a_failure_of_one_is_the_commands(udta_command, tmp_path, places):
    folder = photographs(tmp_path / "photos", per_class=4)
    (folder / "cat" / "003.png").write_bytes(b"this is text")
    status, _, err = udta_command("extract", folder, *TWO, *places)
    assert status == 1
    assert "cat/003.png: is not an image" in err
    status, out, _ = udta_command("extract", folder, *TWO, *places, "--on-error", "skip")
    assert status == 0
    assert out.count("skipped 1 image(s)") == 2


def test_images_that_are_gone_are_pruned_from_all_when_asked(udta_command, tmp_path, places):
    folder = photographs(tmp_path / "photos", per_class=4)
    (folder / "cat" / "001.png").write_bytes(b"text")
    assert udta_command("extract", folder, *TWO, *places, "--on-error", "skip")[0] == 0
    (folder / "cat" / "002.png").unlink()
    status, out, _ = udta_command("plan", folder, *TWO, *places, "--on-error", "skip")
    assert (status, out.count("refused: removes 1 of 12 rows")) == (1, 2)
    status, _, err = udta_command("extract", folder, *TWO, *places, "--on-error", "skip")
    assert (status, "--prune" in err) == (1, True)
    status, out, err = udta_command("extract", folder, *TWO, *places, "--on-error", "skip", "--prune")
    assert (status, out.count("images: 1 removed")) == (0, 2), err
    again = ("--on-error", "skip", "--retry-skipped")
    assert udta_command("plan", folder, *TWO, *places, *again)[1].count("2 images of 1 rows") == 2
    assert udta_command("extract", folder, *TWO, *places, *again)[1].count("skipped 1 image(s)") == 2
