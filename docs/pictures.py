"""The pictures of the pages, from our own results: `python docs/pictures.py [WEIGHTS]`.

First what results in the repository say; with a file of weights also the run of the tutorial.

Nothing here is run by the build: pictures are looked at before they are committed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PICTURES = Path(__file__).parent / "pictures"
_ASIDE = {"monkeys": 9, "butterflies": 1, "flowers": -5}  # points; they would lie upon each other


def time() -> None:
    """Top-1 against the processor time of training: `udta` beside fine-tuning of the whole backbone, five sets."""
    import matplotlib

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "udta", "font.size": 10})
    from matplotlib import pyplot

    from benchmarks.accuracy_results import FOLDER, accuracy, load, train_seconds

    sets = load(FOLDER)["mobilenet_v2"]
    live = ROOT / "benchmarks" / "results" / "live"
    cost = json.loads((live / "cost.json").read_text())
    # As docs/accuracy.md has it: on the processor that the cost of an image was measured on, whatever it was trained on.
    per_image = cost["costs"]["fine_tuning"]["seconds_per_image"] * cost["cores"]
    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), layout="constrained")
    for file in sorted(live.glob("fine_tuning-*.json")):
        tuned = json.loads(file.read_text())
        ours, theirs = sets[tuned["set"]], tuned["metrics"][0]["top1_views"]
        top1 = (100 * (accuracy(ours, "udta", "top1_views") or 0), 100 * theirs)
        seconds = (train_seconds(ours, "udta"), per_image * ours["train"] * tuned["recipe"]["epochs"])
        axes.plot(seconds, top1, color="#9aa3ad", linewidth=1, zorder=1)
        axes.scatter(seconds[:1], top1[:1], color="#0b6bcb", zorder=2, label="udta, on stored features")
        axes.scatter(seconds[1:], top1[1:], color="#c2571a", marker="s", zorder=2, label="fine-tuning of every weight")
        axes.annotate(
            tuned["set"],
            (seconds[0], top1[0]),
            (-8, _ASIDE.get(tuned["set"], 0)),
            textcoords="offset points",
            ha="right",
            va="center",
        )
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:2], labels[:2], frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.45))
    axes.set(xscale="log", xlim=(3, 4000), ylim=(75, 103))
    axes.set(xlabel="training, processor seconds", ylabel="top-1 %, averaged over views")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "time.svg", metadata={"Date": None})


def tutorial(weights: str) -> None:
    """What the tutorial shows, by its own commands with a file of weights of torchvision's 8-bit MobileNetV2."""
    page = (Path(__file__).parent / "tutorial.md").read_text()
    script = re.search(r"^```python\n(# tiles\.py.*?)^```", page, re.M | re.S)[1]  # type: ignore[index]
    named = (
        f"--backbone 'torchvision.models.quantization:mobilenet_v2?quantize=false' --weights {Path(weights).resolve()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiles.py").write_text(script)
        for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)[1:]:
            lines = block.replace("--backbone mobilenet_v2 --weights pretrained", named)
            # A factory is named again wherever the backbone is wanted; `mobilenet_v2` is found by what the run remembers.
            lines = re.sub(r"^(udta (?:explain|predict) .*)$", rf"\1 {named}", lines, flags=re.M)
            subprocess.run(["bash", "-euc", lines], cwd=folder, check=True)
        _keep(Path(folder))


def _keep(made: Path) -> None:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    classes = sorted(path for path in (made / "tiles").iterdir())
    sheet = Image.new("RGB", (len(classes) * 92, 5 * 84), "white")
    for column, folder in enumerate(classes):
        files = sorted(folder.iterdir())
        for row in range(5):
            tile = Image.open(files[row * len(files) // 5]).resize((80, 80), Image.Resampling.LANCZOS)
            sheet.paste(tile, (column * 92 + 6, row * 84 + 2))
    sheet.save(PICTURES / "tiles.jpg", quality=85)
    pagoda = Image.open(made / "pagoda.png").convert("RGB")
    pagoda.thumbnail((820, 820))
    pagoda.save(PICTURES / "pagoda.jpg", quality=82)
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 760})
        page.goto((made / "report.html").as_uri())
        page.screenshot(path=PICTURES / "report.png")
        browser.close()


if __name__ == "__main__":
    time()
    for file in sys.argv[1:]:
        tutorial(file)
