"""What `udta train` says of a run that is there, of what was not measured, and of rows that are not there."""

import pytest
from made_stores import make_layout, write_store


def test_the_command_says_what_was_not_measured_or_not_done(udta_command, tmp_path):
    write_store(tmp_path / "s", make_layout())
    arguments = ("train", tmp_path / "s", "--adapter", "linear", "--epochs", 1, "--out", tmp_path / "run")
    status, _, err = udta_command(*arguments, "--test-split", "tset")
    assert status == 2
    assert "did you mean 'test'" in err
    assert udta_command(*arguments)[0] == 0
    status, out, _ = udta_command(*arguments)
    assert status == 0
    assert "nothing to do" in out
    assert "top-1" in out
    status, _, err = udta_command(*arguments, "--seed", 1)
    assert status == 1
    assert "seed: there 0, asked 1" in err
    assert udta_command(*arguments, "--seed", 1, "--overwrite")[0] == 0
    assert udta_command("evaluate", tmp_path / "run", tmp_path / "s", "--split", "tset")[0] == 2


def test_the_command_says_why_there_are_no_metrics_and_which_classes_were_not_trained(udta_command, tmp_path):
    splits = tuple("test" if row % 2 else "train" for row in range(10))  # all dogs, all cats
    write_store(tmp_path / "s", make_layout(splits=splits))
    status, out, _ = udta_command(
        "train", tmp_path / "s", "--adapter", "linear", "--epochs", 1, "--out", tmp_path / "run"
    )
    assert status == 0
    assert "1 class(es) had no image to train on, images of them cannot be right: 'cat'" in out
    assert "5 image(s) cannot be right" in udta_command("evaluate", tmp_path / "run", tmp_path / "s")[1]
    write_store(tmp_path / "t", make_layout(splits=("train",) * 10))
    status, out, _ = udta_command(
        "train", tmp_path / "t", "--adapter", "linear", "--epochs", 1, "--out", tmp_path / "other"
    )
    assert status == 0
    assert "no metrics: the store has no labelled test split" in out


@pytest.mark.parametrize("rows", ["999999", "3,999999", "10-12"])
def test_exporting_a_row_that_is_not_there_is_bad_usage(udta_command, tmp_path, rows):
    write_store(tmp_path / "s", make_layout())
    status, _, err = udta_command("export", tmp_path / "s", "--to", "npy", "--out", tmp_path / "out", "--rows", rows)
    assert status == 2
    assert "is outside" in err
    assert "10 rows" in err
