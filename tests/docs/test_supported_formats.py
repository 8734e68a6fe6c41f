"""The table of docs/formats.md: each command as it stands there, on images of the kind that its line is about."""

import re
import shlex
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from dicom_files import dicom
from PIL import Image, features
from toy import photographs

import udta
from udta.cli.main import command
from udta.images._formats import _BROUGHT_BY, FORMATS

ROOT = Path(__file__).parent.parent.parent
TABLE = re.search(r"^## A command for each\n(.*?)^## ", (ROOT / "docs" / "formats.md").read_text(), re.M | re.S)[1]
COMMANDS = {text.split("--out ")[1]: text for text in re.findall(r"`(udta extract [^`]+)`", TABLE)}
RNG = np.random.default_rng(0)
pytestmark = pytest.mark.slow


def test_the_table_has_every_format_and_extra():
    named = TABLE.lower()
    assert all(name.lower().replace("jxl", "jpeg xl") in named for name in (*FORMATS, *_BROUGHT_BY))
    extras = {extra for group in re.findall(r"udta\[([\w,]+)\]", TABLE) for extra in group.split(",")}
    assert extras == {"formats", "medical", "timm"}
    assert all(re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.M) for extra in extras)


def photos(folder):
    """One file of each format that Pillow reads by itself."""
    photographs(folder, per_class=1, classes=("cat", "dog"))
    image = Image.open(folder / "cat" / "000.png")
    for fmt in (*FORMATS, *(["AVIF"] if features.check("avif") else [])):
        image.save(folder / "dog" / f"of.{fmt.lower()}", fmt)


def phone(folder):
    pytest.importorskip("pillow_jxl", reason="needs the extra formats")
    pillow_heif.register_heif_opener()
    for name, fmt in (("cat.heic", "HEIF"), ("dog.jxl", "JXL")):
        Image.fromarray(RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / name, fmt)


def scans(folder):
    for number in range(2):
        (folder / f"{number}.dcm").write_bytes(dicom(RNG.integers(-1024, 3072, (40, 30), dtype=np.int16)))


def plates(folder):
    tifffile.imwrite(folder / "float.tif", RNG.uniform(0, 4095, (40, 30)).astype(np.float32))
    tifffile.imwrite(folder / "deep.tif", RNG.integers(0, 4096, (40, 30), dtype=np.uint16))
    Image.fromarray(RNG.integers(0, 4096, (40, 30), dtype=np.uint16)).save(folder / "deep.png")


def fields(folder):
    for number in range(2):
        values = RNG.integers(0, 10_000, (40, 30, 5), dtype=np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", values, photometric="minisblack", planarconfig="contig")


@pytest.mark.parametrize("store", COMMANDS)
def test_a_command_of_the_table(store, tmp_path, monkeypatch):
    words = shlex.split(COMMANDS[store])[1:]
    folder = tmp_path / words[1]
    folder.mkdir()
    globals()[words[1]](folder)
    monkeypatch.chdir(tmp_path)
    command.main(words, standalone_mode=False)
    opened = udta.open_store(store)
    assert opened.complete
    assert sorted(opened.ids) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert np.isfinite(opened.read(np.arange(len(opened)))["pooled"]).all()
