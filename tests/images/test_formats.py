"""Images are found by what they are, and what is none is counted with its reason."""

import io

import numpy as np
import pytest
from PIL import Image, features

from udta.images import _formats, decode_image, read_images

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encode(fmt):
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, fmt)
    return file.getvalue()


ENCODED = {fmt: encode(fmt) for fmt in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")}


@pytest.mark.parametrize("fmt", ENCODED)
@pytest.mark.parametrize("name", ["1", "1.dat", "1.img"])
def test_an_image_by_its_content_is_one(tmp_path, fmt, name):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / name).write_bytes(ENCODED[fmt])
    manifest = read_images(tmp_path)
    assert (manifest.ids, manifest.left_out) == ((f"cat/{name}",), {})
    assert decode_image((manifest.root / manifest.ids[0]), "a").shape == RGB.shape


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".mpo", ".dib", ".pnm", ".apng"])
def test_less_usual_extensions_are_images_even_if_damaged(tmp_path, suffix):
    (tmp_path / f"1{suffix}").write_bytes(b"no image")
    assert read_images(tmp_path).ids == (f"1{suffix}",)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_is_an_image_by_name_and_by_content(tmp_path):
    for name in ("1.avif", "2"):
        (tmp_path / name).write_bytes(encode("AVIF"))
    assert read_images(tmp_path).ids == ("1.avif", "2")


BOX = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (BOX + b"heic\0\0\0\0mif1heic", "HEIF"),
        (BOX + b"mif1\0\0\0\0mif1avif", "AVIF"),
        (BOX + b"isom\0\0\0\0mp41", ""),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"BM is what this text begins with", ""),
        (b"P3 is a size of paper", ""),
        (b"P5\n# a comment\n", "PPM"),
        (b"RIFF\0\0\0\0WAVE", ""),
        (b"", ""),
    ],
)
def test_formats_by_their_first_bytes(head, found):
    assert _formats.format_of(head.ljust(64, b"\0") if head else head) == found


def test_what_is_left_out_is_counted_by_extension_and_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(_formats, "_reads", lambda extra: False)
    (tmp_path / "cat").mkdir()
    files = {
        "1.jpg": ENCODED["JPEG"],
        "2.heic": BOX + b"heic\0\0\0\0mif1heic",
        "3.heic": b"",
        "4.mp4": BOX + b"isom\0\0\0\0mp41",
        "5.nef": ENCODED["TIFF"],  # Pillow would take the thumbnail in it for the photograph
        "6.psd": b"8BPS\0\1",
        "7": BOX + b"avif\0\0\0\0avifmif1",
        "notes.txt": b"notes",
        "empty": b"",
    }
    for name, content in files.items():
        (tmp_path / "cat" / name).write_bytes(content)
    manifest = read_images(tmp_path)
    assert manifest.ids == ("cat/1.jpg",)
    assert manifest.left_out == {
        ".heic (HEIF, which needs pip install 'udta[formats]')": 2,
        ".mp4 (no image by its content)": 1,
        ".nef (a camera's raw file, convert it)": 1,
        ".psd (a Photoshop file, convert it)": 1,
        ".txt (no image by its content)": 1,
        "7 (AVIF, which needs pip install 'pillow>=11.3')": 1,
        "empty (no image by its content)": 1,
    }
    assert manifest.summary()[-1].startswith(
        "left out: 2 .heic (HEIF, which needs pip install 'udta[formats]'), 1 .mp4"
    )


def test_a_plug_in_that_is_there_makes_its_files_images(tmp_path, monkeypatch):
    monkeypatch.setattr(_formats, "_reads", lambda extra: extra == "HEIF")
    (tmp_path / "1.heic").write_bytes(b"damaged")
    (tmp_path / "2").write_bytes(BOX + b"heic\0\0\0\0mif1heic")
    assert read_images(tmp_path).ids == ("1.heic", "2")


# Two bytes are all that tells a bare stream of JPEG XL: too few to take a file for one without its extension.
@pytest.mark.parametrize(("plugin", "kind", "name"), [("pillow_heif", "HEIF", "a"), ("pillow_jxl", "JXL", "a.jxl")])
def test_what_a_plugin_reads_is_an_image(tmp_path, plugin, kind, name):
    module = pytest.importorskip(plugin, reason=f"needs the plug-in of Pillow for {kind}")
    if kind == "HEIF":
        module.register_heif_opener()
    colour = (200, 120, 40)
    Image.new("RGB", (64, 48), colour).save(tmp_path / name, format=kind, quality=95)
    assert _formats.why_no_image(name, str(tmp_path / name)) == ""
    pixels = decode_image(tmp_path / name, name)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - colour).max() <= 4
