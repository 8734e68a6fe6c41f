"""What the command waits for before it does anything: libraries that it can do without are not imported."""

import json
import subprocess
import sys

import udta

WALK = """
import contextlib, io, json, sys
from udta.cli.main import VERBS, main

def after(*arguments):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(arguments)
    return [name for name in ("torch", "torchvision", "pydantic", "zarr", "h5py", "numpy", "tqdm") if name in sys.modules]

found = {"--help": after("--help")}
found |= {verb: after(verb, "--help") for verb in VERBS}
found["info"] = after("info", sys.argv[1])
print(json.dumps(found))
"""


def test_help_imports_nothing_heavy_and_neither_help_of_a_verb_nor_info_torch(photos, tmp_path):
    """One process: what a verb imports is seen of all that come after it."""
    udta.extract(photos, backbone="toy:net", taps="stage2=avg", dtype="uint8", out=tmp_path / "s")
    done = subprocess.run([sys.executable, "-c", WALK, tmp_path / "s"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["--help"] == []
    assert {verb for verb, modules in found.items() if "torch" in modules} == set()
    assert "zarr" in found["info"]  # it was opened
