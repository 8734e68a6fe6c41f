"""What every extraction says first: which images, classes and split it found, and what it left out."""

import json

import numpy as np
import pytest
from PIL import Image
from toy import photographs

EXTRACT = ("--backbone", "toy:net", "--taps", "stage2=avg")


@pytest.fixture
def folder(tmp_path):
    """A split, a store of ours, a file that is no image, and an image with a broken profile."""
    root = tmp_path / "photos"
    photographs(root / "train", per_class=3)
    photographs(root / "test", per_class=1, seed=1)
    (root / "train" / "cat" / "notes.txt").write_text("notes")
    Image.fromarray(np.full((20, 20, 3), 7, np.uint8)).save(root / "test" / "cat" / "grey.png", icc_profile=b"broken")
    return root


LINES = [
    "found 13 image(s) of 3 class(es): bird, cat, dog",
    "split: train 9, test 4 (folders train/test)",
    "left out: 1 .txt (no image by its content)",
    "note: the folders train/test are taken as the split, the folders in them as the classes",
]


def test_the_first_lines_of_an_extraction_and_its_report(udta_command, folder, tmp_path):
    status, out, err = udta_command("extract", folder, *EXTRACT, "--out", folder / "s.zarr", "--json")
    assert status == 0, err
    assert [line.removeprefix(f"{folder}: ") for line in err.splitlines()[:4]] == LINES
    report = json.loads(out)
    assert report["left_out"] == {".txt (no image by its content)": 1}
    assert report["notes"] == [LINES[3].removeprefix("note: "), "a broken colour profile was ignored (1 images)"]
    kept = json.loads((folder / "s.zarr.report.json").read_text())["runs"][0]
    assert (kept["left_out"], kept["notes"]) == (report["left_out"], report["notes"])


def test_the_same_of_a_plan(udta_command, folder, tmp_path):
    status, out, err = udta_command("plan", folder, *EXTRACT, "--out", tmp_path / "s.zarr", "--json")
    assert status == 0, err
    assert [line.removeprefix(f"{folder}: ") for line in err.splitlines()[:4]] == LINES
    plan = json.loads(out)
    assert plan["left_out"] == {".txt (no image by its content)": 1}
    assert plan["notes"] == [LINES[3].removeprefix("note: ")]
