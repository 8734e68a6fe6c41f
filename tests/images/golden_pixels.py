"""Golden pixels: what every decoder and every operation made of small fixed files when `FEATURE_VERSION` was last raised.

`python tests/images/golden_pixels.py` writes them anew, after it was raised; the encoded files stay as they are, since encoders
change more often than decoders.
"""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
from colour_profiles import ADOBE_RGB, DISPLAY_P3, cmyk_profile, grey_profile, rgb_profile
from PIL import Image, features

from udta.fingerprint import FEATURE_VERSION
from udta.images import EncodedImage, Transform
from udta.images._views import view_rng

PATH = Path(__file__).with_suffix(".json")

# Of a JPEG the shorter side that a transform wants, by which it is decoded in full, at 1/2, 1/4 and 1/8.
SIDES = {"jpeg": (None, 9, 4, 2), "jpeg_grey": (None, 6), "jpeg_cmyk": (None, 6)}

TRANSFORMS = (
    "resize(16)", "resize(16,filter=bicubic)", "resize(20,filter=lanczos)", "resize(9,14)", "centre_crop(12)", "centre_crop(30)",
    "random_resized_crop(12)", "random_resized_crop(12,scale=0.2..0.5,ratio=1..2)", "random_crop(12)", "random_crop(20,pad=4)",
    "resize(4,5)|flip", "jitter(0.4)", "rotate(30)", "grey",
)  # fmt: skip


def picture():
    """24 x 32 pixels of smooth colours with a hard edge, from whole numbers alone."""
    y, x = np.mgrid[:24, :32]
    colours = np.stack([7 * x + y, 9 * y + 2 * x, 255 - 5 * x - 4 * y], -1) % 256
    colours[8:14, 10:20] = (250, 10, 60)
    return Image.fromarray(colours.astype(np.uint8))


def encoded():
    """A file for each way that decoding takes."""
    whole = picture()
    part = whole.crop((4, 4, 20, 16))
    small, grey = whole.crop((4, 4, 13, 10)), whole.convert("L").crop((4, 4, 13, 10))
    alpha = small.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(small.size))
    wide = np.asarray(grey).astype(np.uint16) * 200 + 77
    wide[0] = 257 * 20 * np.arange(9) + 129  # where the rounding to 8 bits turns
    upright = Image.Exif()
    upright[0x0112] = 6
    files = {
        "jpeg": _file(whole.resize((48, 36)), "JPEG", quality=60),
        "jpeg_444": _file(small, "JPEG", quality=90, subsampling=0),
        "jpeg_progressive": _file(part, "JPEG", quality=70, progressive=True),
        "jpeg_grey": _file(whole.convert("L"), "JPEG", quality=60),
        "jpeg_cmyk": _file(whole.convert("CMYK"), "JPEG", quality=60),
        "jpeg_rotated": _file(small, "JPEG", quality=90, exif=upright),
        "jpeg_p3": _file(small, "JPEG", quality=90, icc_profile=rgb_profile(DISPLAY_P3, 2.2)),
        "jpeg_cmyk_profile": _file(small.convert("CMYK"), "JPEG", quality=90, icc_profile=cmyk_profile((153, 98, 98))),
        "png": _file(small, "PNG"),
        "png_adobe_rgb": _file(small, "PNG", icc_profile=rgb_profile(ADOBE_RGB, 563 / 256)),
        "png_grey_profile": _file(grey, "PNG", icc_profile=grey_profile(1.8)),
        "png_alpha": _file(alpha, "PNG"),
        "png_grey_alpha": _file(alpha.convert("LA"), "PNG"),
        "png_16_bits": _file(Image.fromarray(wide), "PNG"),
        "png_palette": _file(small.quantize(8), "PNG"),
        "png_palette_transparent": _file(small.quantize(8), "PNG", transparency=3),
        "png_bilevel": _file(grey.convert("1"), "PNG"),
        "png_rotated": _file(small, "PNG", exif=upright),
        "gif": _file(small.quantize(8), "GIF"),
        "bmp": _file(small, "BMP"),
        "tiff": _file(small, "TIFF", compression="tiff_lzw"),
        "tiff_16_bits": _file(Image.fromarray(wide), "TIFF"),
        "ppm": _file(small, "PPM"),
        "webp": _file(small, "WEBP", lossless=True),
        "webp_lossy": _file(part, "WEBP", quality=60),
    }
    if features.check("avif"):
        files["avif"] = _file(part, "AVIF", quality=60)
    return files


def decoded(name, content):
    """The pixels of a file in every size that it is decoded in."""
    return {str(side): EncodedImage(content, name).pixels(side) for side in SIDES.get(name, (None,))}


def transformed(text):
    """What a transform makes of the picture; random ones several times."""
    transform = Transform.parse(text)
    views = range((40 if "flip" in text else 3) if transform.is_random else 1)
    return np.stack([transform.apply(picture(), view_rng(0, "golden", view)) for view in views])


def load():
    """The golden document, with arrays and bytes."""
    document = json.loads(PATH.read_text())
    document["files"] = {name: base64.b64decode(content) for name, content in document["files"].items()}
    for kind in ("decoded", "transformed"):
        document[kind] = {name: _array(value) for name, value in document[kind].items()}
    return document


def _file(image, fmt, **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def _array(value):
    return np.frombuffer(zlib.decompress(base64.b64decode(value["pixels"])), np.uint8).reshape(value["shape"])


def _written(array):
    return {"shape": array.shape, "pixels": base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()}


if __name__ == "__main__":
    known = load()["files"] if PATH.exists() else {}
    files = encoded() | known
    pixels = {f"{name} {side}": array for name, file in files.items() for side, array in decoded(name, file).items()}
    document = {
        "feature_version": FEATURE_VERSION,
        "files": {name: base64.b64encode(content).decode() for name, content in files.items()},
        "decoded": {name: _written(array) for name, array in pixels.items()},
        "transformed": {text: _written(transformed(text)) for text in TRANSFORMS},
    }
    PATH.write_text(json.dumps(document, indent=0) + "\n")
