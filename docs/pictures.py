"""The pictures of the pages, from our own results: `python docs/pictures.py` draws what results in the repository say.

Nothing here is run by the build: pictures are looked at before they are committed.
"""

from __future__ import annotations

import json
import sys
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
    axes.set(xscale="log", xlim=(4, 4000), ylim=(75, 103))
    axes.set(xlabel="training, processor seconds", ylabel="top-1 %, averaged over views")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "time.svg", metadata={"Date": None})


if __name__ == "__main__":
    time()
