"""JPEG decoders side by side, one thread: a thumbnail in full, and a camera's photograph down to what view 0 needs.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.decode [--files 200] [--rounds 5]

FOLDER holds `real/<set>/<class>/*.jpg` (shorter side 224 px); the camera's photographs are 12 of them enlarged to 4000 x 3000 and
saved anew. Decoders that are not installed are left out (simplejpeg, OpenCV). Then what one image costs in udta: decoding,
view 0, an augmented view. Milliseconds an image, medians of rounds that take turns. Writes `benchmarks/results/decode.json`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from benchmarks.synthetic import versions
from udta._files.atomic import write_json
from udta._machine.cores import one_thread_each
from udta.images import EncodedImage, Transform, ViewSpec

RESULT = Path(__file__).parent / "results" / "decode.json"
VIEWS = ViewSpec(
    2,
    0,
    Transform.parse("resize(256)|centre_crop(224)"),
    Transform.parse("random_resized_crop(224,scale=0.35..1)|flip|jitter(0.2)"),
)
Decoder = Callable[[bytes], Any]


def decoders() -> dict[str, Decoder]:
    """By name; the ones called `scaled` leave coefficients out where 512 px (twice what view 0 wants) are exceeded."""
    found: dict[str, Decoder] = {
        "Pillow": lambda content: np.asarray(Image.open(io.BytesIO(content)).convert("RGB")),
        "Pillow, scaled (udta)": lambda content: EncodedImage(content, "").pixels(256),
        "torchvision.io": lambda content: decode_jpeg(
            torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB
        ),
    }
    try:
        simplejpeg = importlib.import_module("simplejpeg")
        found["simplejpeg"] = lambda content: simplejpeg.decode_jpeg(content, fastdct=False, fastupsample=False)
        found["simplejpeg, scaled"] = lambda content: simplejpeg.decode_jpeg(
            content, fastdct=False, fastupsample=False, min_height=512, min_width=512
        )
    except ImportError:
        pass
    try:
        cv2 = importlib.import_module("cv2")
        found["OpenCV"] = lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except ImportError:
        pass
    return found


def enlarged(content: bytes) -> bytes:
    """A photograph of 12 megapixels."""
    out = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC).save(
        out, "JPEG", quality=90
    )
    return out.getvalue()


def milliseconds(function: Decoder, items: list[Any]) -> float:
    """Of one item."""
    started = time.perf_counter()
    for item in items:
        function(item)
    return 1e3 * (time.perf_counter() - started) / len(items)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "UDTA_REAL_DATA" not in os.environ:
        sys.exit("set UDTA_REAL_DATA to the folder with real photographs")
    one_thread_each()
    files = sorted(Path(os.environ["UDTA_REAL_DATA"]).glob("real/*/*/*.jpg"))
    thumbnails = [file.read_bytes() for file in files[:: max(1, len(files) // options.files)]][: options.files]
    sets = {"thumbnail": thumbnails, "12 megapixels": [enlarged(content) for content in thumbnails[:12]]}
    images = [EncodedImage(content, "") for content in thumbnails]
    times: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for kind, contents in sets.items():
            for name, decoder in decoders().items():
                times.setdefault(f"{kind}: {name}", []).append(milliseconds(decoder, contents))
        for view in range(2):
            step = ("view 0", "augmented view")[view]
            times.setdefault(f"thumbnail: udta {step}, decoded already", []).append(
                milliseconds(lambda image, view=view: VIEWS.view(image, "0", view), images)
            )
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:48} {value:9.3f} ms")
    write_json(
        RESULT,
        {
            "versions": versions("pillow", "torchvision", "simplejpeg", "opencv-python-headless"),
            "milliseconds": medians,
        },
    )


if __name__ == "__main__":
    main()
