"""Ctrl-C: what is kept is said as it is."""

import pytest
from PIL import Image
from toy import photographs

from udta._console.display import ProgressDisplay

EXTRACT = ("--backbone", "toy:net", "--taps", "stage2=avg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 32)
    return photographs(tmp_path / "photos", per_class=16)  # 48 images: two blocks


@pytest.fixture
def interrupted_after(monkeypatch):
    def make_request(rows):
        def stop(self, name, done, total, note=""):
            if done >= rows:
                raise KeyboardInterrupt

        monkeypatch.setattr(ProgressDisplay, "__call__", stop)

    return make_request


def test_an_interrupted_extraction_says_how_many_blocks_are_kept(udta_command, folder, tmp_path, interrupted_after):
    command, store = ("extract", folder, *EXTRACT, "--out", tmp_path / "s"), tmp_path / "s"
    interrupted_after(1)
    status, _, err = udta_command(*command)
    assert (status, err.splitlines()[-2:]) == (
        130,
        [
            f"{store}: 0 of 2 blocks are committed; the same command starts again",
            f"again: udta extract {folder} --backbone toy:net --taps stage2=avg --out {store}",
        ],
    )
    assert not store.exists()
    interrupted_after(48)  # all is computed, and one block was given to the disk
    assert f"{store}: 1 of 2 blocks are committed, the same command continues" in udta_command(*command)[2]
    interrupted_after(99)
    assert udta_command(*command)[0] == 0
    Image.new("RGB", (20, 20), "teal").save(folder / "cat" / "new.png")
    interrupted_after(1)
    err = udta_command(*command)[2]
    assert f"{store} is as it was; of what it grows into 1 of 2 blocks are committed, the same command continues" in err


def test_other_verbs_say_nothing_of_blocks(udta_command, toy_store, tmp_path, interrupted_after):
    interrupted_after(1)
    status, _, err = udta_command("train", toy_store, "--out", tmp_path / "run")
    assert status == 130
    assert err.splitlines()[-2] == "the same command goes on from the last checkpoint, if there is one"
    status, _, err = udta_command("export", toy_store, "--to", "npy", "--out", tmp_path / "e")
    assert (status, err.strip().splitlines()) == (
        130,
        [
            "interrupted",
            "nothing was written; the same command starts again",
            f"again: udta export {toy_store} --to npy --out {tmp_path / 'e'}",
        ],
    )
    assert not (tmp_path / "e").exists()
