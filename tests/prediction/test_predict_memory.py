"""Memory does not grow with the number of images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import photographs

import udta

SCRIPT = """
import sys
import udta
from udta._machine.memory import peak_memory
images, out, *runs = sys.argv[1:]
udta.predict(images, adapters=runs, out=out, backbone="toy:net", top_k=3, device="cpu")
print(peak_memory())
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_twenty_thousand_images_take_what_a_thousand_take(toy_store, tmp_path, kind):
    """240,000 lines, which are 48 MB where they are kept; names, hashes and rows of the images are 6 MB."""
    photo = next(photographs(tmp_path / "photos", per_class=1).rglob("*.png"))
    runs = [tmp_path / name for name in "abcd"]
    for run in runs:
        udta.train(toy_store, out=run, adapter="ridge")
    peaks = []
    for n_images in (1000, 20_000):
        folder = tmp_path / str(n_images)
        folder.mkdir()
        for number in range(n_images):
            os.link(photo, folder / f"{number:05d}.png")
        arguments = [sys.executable, "-c", SCRIPT, folder, tmp_path / f"{n_images}.{kind}", *runs]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[1], *sys.path]))}
        done = subprocess.run(list(map(str, arguments)), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 32 << 20
