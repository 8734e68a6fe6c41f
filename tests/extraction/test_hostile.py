"""500 hostile files among good photographs: nothing crashes, hangs or eats the memory, and no good row changes."""

import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import photographs

import udta

SEED = 20_220_310
TESTS = str(Path(__file__).parent.parent)
OPTIONS = {"backbone": "toy:net", "taps": "stage1=grid(4),stage2=avg", "compute": "float32", "dtype": "float32"}
# One image of the largest allowed size is 0.5 GB, four times so while it is decoded, and other threads may hold another one.
MEMORY_BYTES = 4 * 2**30


def jpeg(rng, size=(64, 48), **options):
    out = io.BytesIO()
    pixels = np.frombuffer(rng.randbytes(size[0] * size[1] * 3), np.uint8).reshape(size[1], size[0], 3)
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return bytearray(out.getvalue())


def png(width, height, rows):
    """A PNG whose header says one size and whose data are some rows of zeros."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(rows * (1 + 3 * width)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def flipped(rng):
    content = jpeg(rng, progressive=rng.random() < 0.3, quality=rng.randrange(10, 96))
    for _ in range(rng.randrange(1, 9)):
        content[rng.randrange(2, len(content))] ^= 1 << rng.randrange(8)
    return content


def truncated(rng):
    content = jpeg(rng)
    return content[: rng.randrange(1, len(content) - 2)]


def resized(rng):
    """The size in the frame header is another one than that of the data, up to 65535 x 65535."""
    content = jpeg(rng)
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", rng.randrange(1, 65536), rng.randrange(1, 65536))
    return content


# What each maker makes, and whether it can be an image after all (a flipped bit may only change a colour).
MAKERS = {
    "flipped": (flipped, True),
    "truncated": (truncated, False),
    "resized": (resized, True),
    "empty": (lambda _rng: b"", False),
    "text": (lambda rng: b"not an image " * rng.randrange(1, 99), False),
    "noise": (lambda rng: rng.randbytes(rng.randrange(1, 4000)), False),
    "headed-noise": (lambda rng: b"\xff\xd8\xff\xe0" + rng.randbytes(2000), False),
    "bomb": (lambda rng: png(60_000, 60_000, rng.randrange(1, 40)), False),
    # Compressed data that end early: Pillow takes the missing rows for black.
    "missing-rows": (lambda rng: png(3000, 3000, rng.randrange(1, 40)), True),
    "thin": (lambda _rng: png(1, 30_000, 30_000), True),
}


def hostile(root, count=500):
    """Files of all kinds under wrong and right extensions, in the same class folders as the good ones."""
    rng = random.Random(SEED)
    made = {}
    for number in range(count):
        name = list(MAKERS)[number % len(MAKERS)]
        make, may_be_fine = MAKERS[name]
        path = (
            root
            / ("bird", "cat", "dog")[number % 3]
            / f"h-{number:03d}-{name}.{rng.choice(['jpg', 'png', 'gif', 'webp'])}"
        )
        path.write_bytes(make(rng))
        made[path.relative_to(root).as_posix()] = may_be_fine
    return made


@pytest.mark.slow
def test_500_hostile_files_change_no_good_row(tmp_path):
    good, mixed = photographs(tmp_path / "good", per_class=40), photographs(tmp_path / "mixed", per_class=40)
    made = hostile(mixed)
    code = (
        f"import sys, resource; sys.path.insert(0, {TESTS!r}); import udta; from udta._machine.memory import peak_memory; "
        f"resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
        f"udta.extract({str(mixed)!r}, out={str(tmp_path / 'mixed.zarr')!r}, on_error='skip', **{OPTIONS!r}); "
        f"print(peak_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEMORY_BYTES

    udta.extract(good, out=tmp_path / "good.zarr", **OPTIONS)
    clean, dirty = udta.open_store(tmp_path / "good.zarr"), udta.open_store(tmp_path / "mixed.zarr")
    recorded = {str(dirty.ids[row]): reason for row, reason in dirty.skipped.items()}
    assert {name for name, may_be_fine in made.items() if not may_be_fine} <= recorded.keys() <= made.keys(), (
        f"seed {SEED}"
    )
    assert all(recorded.values())
    usable = [row for row in range(len(dirty)) if row not in dirty.skipped]
    for values in dirty.read(usable).values():
        assert np.isfinite(values).all()
    rows = [dirty.ids.tolist().index(name) for name in clean.ids.tolist()]
    for tap, values in clean.read(range(len(clean))).items():
        # In another batch than in the clean store: equal but for the last bits.
        np.testing.assert_allclose(dirty.read(rows)[tap], values, rtol=1e-5, atol=1e-6)
