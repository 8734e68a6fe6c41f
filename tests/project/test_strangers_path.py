"""A stranger's first afternoon: a wheel in an empty environment, 500 photographs, and the commands of docs/projects.md."""

import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
# Five minutes on two cores, of ours: not of a machine that does other things as well.
MOST_PROCESSOR_SECONDS = 5 * 60 * 2
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` of an environment with the wheel of these sources, and without these sources."""
    pytest.importorskip("dvc", reason="needs the extra `project`")
    folder = tmp_path_factory.mktemp("stranger")
    # Sources alone: a folder `build` of an earlier time would put modules into the wheel that are gone.
    for name in ("pyproject.toml", "README.md", "LICENSE", "pipeline"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, folder])
    [wheel] = folder.glob("*.whl")
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    [site] = folder.glob("venv/lib/*/site-packages")
    # torch and all that we depend on; a `.pth` in there, as that of an installation from a clone, is not read from here.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run([*pip, "--python", folder / "venv", "install", "--no-deps", "--no-index", wheel])
    found = run([folder / "venv/bin/python", "-c", "import udta; print(udta.__file__)"], cwd=folder)
    assert found.strip().startswith(str(site))
    return folder / "venv" / "bin"


def run(command, **options):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **{"env": environment, **options}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def photograph(path, hue, rng):
    """A colour with a coarse texture, as a JPEG of a phone's proportions."""
    colour = np.roll([200, 90, 40], hue % 3) // (1 + hue // 3)
    coarse = rng.uniform(0.6, 1, (12, 16, 1)) * colour
    Image.fromarray(coarse.astype(np.uint8)).resize((320, 240)).save(path, quality=85)


def test_five_hundred_photographs_to_a_report_with_the_commands_of_the_page(installed, tmp_path):
    rng = np.random.default_rng(0)
    for hue, name in enumerate(("ash", "birch", "cedar", "elm", "fir")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(100):
            photograph(tmp_path / "photos" / name / f"{number:03d}.jpg", hue, rng)
    ids = [f"{path.parent.name}/{path.name}" for path in sorted((tmp_path / "photos").rglob("*.jpg"))]
    (tmp_path / "colours.csv").write_text("path,label\n" + "".join(f"{name},{name[0]}\n" for name in ids))
    page = (ROOT / "docs" / "projects.md").read_text()
    first, *others = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = os.pathsep.join([str(installed), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "DVC_NO_ANALYTICS": "1"}

    def follow(script, folder):
        return run(["bash", "-euc", script], cwd=folder, env=environment)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = follow(first, tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(getattr(after, kind) - getattr(before, kind) for kind in ("ru_utime", "ru_stime"))
    print(f"{seconds:.0f} processor seconds")
    assert seconds < MOST_PROCESSOR_SECONDS
    mine = tmp_path / "mine"
    results = (mine / "out" / "report" / "results.txt").read_text()
    assert said.endswith(results)
    assert re.search(r"^mobilenet_v2 +photos +udta +[\d.]+", results, re.MULTILINE)

    # Another version of udta: what it trains differently is trained again, and what it extracts alike is not extracted.
    [loop] = installed.parent.glob("lib/*/site-packages/udta/training/loop.py")
    with loop.open("a") as out:
        out.write("# another version\n")
    assert waiting(follow("udta stage check && dvc status", mine)) == {"check", "train@mobilenet_v2-photos"}

    [growing] = others
    new = waiting(follow(growing, mine))
    assert {"check", "prepare@again", "extract@small-photos", "evaluate@mobilenet_v2-photos-narrow"} <= new
    assert not {"prepare@photos", "extract@mobilenet_v2-photos"} & new


def waiting(status):
    """The stages that `dvc repro` would run, as `dvc status` names them."""
    return {line.removesuffix(":") for line in status.splitlines() if re.fullmatch(r"\w+(@\S+)?:", line)}
