"""docs/accuracy.md from the results, so that no figure in it can differ from what was measured: python -m benchmarks.accuracy_doc

Reads `benchmarks/results/accuracy.json` and those of fine-tuning in `benchmarks/results/live/`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from udta._files.atomic import write_text

_RESULTS = Path(__file__).parent / "results"
_DOC = Path(__file__).parents[1] / "docs" / "accuracy.md"
_FIGURES = {"top1": "single view", "top1_views": "averaged"}

_HEAD = """# Accuracy

Five small fine-grained photograph sets, a frozen MobileNetV2 and adapters on its stored features. Every adapter is trained with
its own default recipe; whatever has to be chosen (the rival's C, the learning rate of fine-tuning, the defaults themselves) was
chosen on training splits. This page is written by `python -m benchmarks.accuracy` from [its
results](../benchmarks/results/accuracy.json) and [those of fine-tuning](../benchmarks/results/live).

**ImageNet overlap.** The backbone was trained on ImageNet, and most of the monkeys, 4 of the 10 butterflies, a few birds and
flowers are ImageNet classes. There every method looks better than it would on new classes; food is the fairest of the five.
"""


def main() -> None:
    """Write the page."""
    write_text(_DOC, rendered())


def rendered() -> str:
    """The page that the results in this repository give."""
    live = [json.loads(path.read_text()) for path in sorted((_RESULTS / "live").glob("fine_tuning-*.json"))]
    accuracy, cost = (json.loads((_RESULTS / name).read_text()) for name in ("accuracy.json", "live/cost.json"))
    return render(accuracy, live, cost)


def render(document: Mapping[str, Any], live: Iterable[Mapping[str, Any]], cost: Mapping[str, Any]) -> str:
    """The page of one result, of the fine-tuned sets that there are, and of what the live rivals cost."""
    sets = document["sets"]
    tuned = {each["set"]: each for each in live if each["set"] in sets}
    parts = [_HEAD, _accuracies(document, tuned), _errors(sets)]
    if tuned:
        parts.append(_fine_tuning(document, tuned, cost))
    parts += [_costs(cost), _storage(sets)]
    return "\n".join(parts)


def reduction(sets: Mapping[str, Any], figure: str) -> dict[str, Any]:
    """How much lower udta's error is than the regression's in the same figure, views and averaging being the same.

    By set (None where the regression makes no error), their mean, that of the mean error, and the least difference of accuracies.
    """
    ours = {name: 1 - float(np.mean(row["adapters"]["udta"][figure])) for name, row in sets.items()}
    theirs = {name: 1 - row["regression"][figure] for name, row in sets.items()}
    by_set = {name: 1 - ours[name] / theirs[name] if theirs[name] else None for name in sets}
    return {
        "by_set": by_set,
        "mean": float(np.mean([value for value in by_set.values() if value is not None])),
        "of_mean_error": 1 - sum(ours.values()) / sum(theirs.values()),
        "worst_difference": min(theirs[name] - ours[name] for name in sets),
    }


def against_fine_tuning(
    document: Mapping[str, Any], tuned: Mapping[str, Any], cost: Mapping[str, Any]
) -> dict[str, Any]:
    """Mean accuracies of both on the fine-tuned sets, and the parts of its time that the adapter takes.

    `with_extraction` counts all images of a set, `with_training_images` those that are trained on; both are left out where a
    store was there before.
    """
    sets = [document["sets"][name] for name in tuned]
    tested = [_tested(each, document["configuration"]["views"]) for each in tuned.values()]
    tuned_seconds = sum(_tuned_seconds(each, document["sets"][name], cost) for name, each in tuned.items())
    seconds = sum(float(np.mean(row["adapters"]["udta"]["seconds"])) for row in sets)
    found: dict[str, Any] = {
        "udta": {key: float(np.mean([np.mean(row["adapters"]["udta"][key]) for row in sets])) for key in _FIGURES},
        "fine_tuning": {key: float(np.mean([each[key] for each in tested])) for key in _FIGURES},
        "training_alone": seconds / tuned_seconds,
    }
    if all(row["extraction"] for row in sets):
        every = sum(row["extraction"]["seconds"] for row in sets)
        used = sum(row["extraction"]["seconds"] * row["train"] / (row["train"] + row["n"]) for row in sets)
        found["with_extraction"] = (seconds + every) / tuned_seconds
        found["with_training_images"] = (seconds + used) / tuned_seconds
    return found


def _accuracies(document: Mapping[str, Any], tuned: Mapping[str, Any]) -> str:
    configuration, sets = document["configuration"], document["sets"]
    views, adapters = configuration["views"], configuration["adapters"].split(",")
    header = ["set", "train / test", "regression, view 0 alone", "regression", *adapters, "fine-tuning"]
    rows = []
    for name, row in sets.items():
        cells = [_points(row["regression_view0"]["top1"]), _pair(row["regression"])]
        cells += [_spread(row["adapters"][each]) for each in adapters]
        cells.append(_pair(_tested(tuned[name], views)) if name in tuned else "-")
        rows.append([name, f"{row['train']} / {row['n']}", *cells])
    text = f"""
        Per cent, **single view / averaged over the {views} views of a test image**; adapters: mean ± standard deviation over
        {configuration["seeds"]} seeds. The regression is scikit-learn's on the standardised average of the last tap, trained on
        the same {views} views of the training images and averaged over a test image's views in the same way; its C is chosen by
        grouped cross-validation for each of the two figures. Beside it is the one that is trained on view 0 alone.
        Taps: `{configuration["taps"]}`."""
    return f"## Top-1\n\n{_wrapped(text)}\n{_table(header, rows)}"


def _errors(sets: Mapping[str, Any]) -> str:
    found = {figure: reduction(sets, figure) for figure in _FIGURES}
    rows = [[name, *(_per_cent(found[figure]["by_set"][name]) for figure in _FIGURES)] for name in sets]
    rows += [
        ["mean of the sets", *(_per_cent(found[figure]["mean"]) for figure in _FIGURES)],
        ["of the mean error", *(_per_cent(found[figure]["of_mean_error"]) for figure in _FIGURES)],
        ["worst set, points", *(f"{100 * found[figure]['worst_difference']:+.2f}" for figure in _FIGURES)],
    ]
    text = """
        How much lower `udta`'s error is than the regression's, like with like; a dash where the regression makes no error. Aimed
        at: 25 % on average, and no set worse by more than 0.5 point."""
    return f"## Against the regression\n\n{_wrapped(text)}\n{_table(['set', *_FIGURES.values()], rows)}"


def _fine_tuning(document: Mapping[str, Any], tuned: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    sets, found = document["sets"], against_fine_tuning(document, tuned, cost)
    seeds = ", ".join(f"{name} {len(each['metrics'])} on {each['device']}" for name, each in tuned.items())
    recipe, tuning = (next(iter(tuned.values()))[key] for key in ("recipe", "tuning"))
    rates = ", ".join(
        f"{name} {each['recipe']['lr']:g} ({' and '.join(next(iter(each['tuning']['held_out'].values())))})"
        for name, each in tuned.items()
    )
    rows = [
        [
            name,
            f"{np.mean(sets[name]['adapters']['udta']['seconds']):.1f}",
            f"{sets[name]['extraction']['seconds']:.1f}" if sets[name]["extraction"] else "-",
            f"{_tuned_seconds(each, sets[name], cost):.0f}",
        ]
        for name, each in tuned.items()
    ]
    text = f"""
        Every weight of the same backbone trained for {recipe["epochs"]} epochs of SGD, with the augmentation of the views drawn
        anew in every epoch, one cycle and label smoothing (seeds: {seeds}). The learning rate was chosen among
        {", ".join(tuning["held_out"])} on a third of the training images after {tuning["epochs"]} epochs on the rest; in
        brackets the sets whose training images decided: {rates}. Sets measured: {", ".join(tuned)}. Mean top-1 on these,
        single view / averaged: udta {_pair(found["udta"])}, fine-tuning {_pair(found["fine_tuning"])}. Aimed at: within 1 point
        or better."""
    times = f"""
        Seconds of {document["cores"]} cores (the processor's time / cores), for training without choosing a learning rate. For a
        set that was fine-tuned on a GPU it is the time of an image and epoch on these cores (the last table) times its images
        and epochs:"""
    ratio = f"udta takes 1/{1 / found['training_alone']:.0f} of the training time (aimed at: 1/30)"
    if "with_extraction" in found:
        ratio += f"""; with the extraction of the training images 1/{1 / found["with_training_images"]:.1f}, with that of all
            images 1/{1 / found["with_extraction"]:.1f} (aimed at: 1/5)"""
    table = _table(["set", "udta, training", "extraction, all images and views", "fine-tuning"], rows)
    return f"## Against full fine-tuning\n\n{_wrapped(text)}\n{_wrapped(times)}\n{table}\n{_wrapped(ratio + '.')}"


def _costs(cost: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{row['parameters']:,.0f}",
            *(f"{row[key] / 1e6:,.1f}" for key in ("forward_flops", "backward_flops")),
            str(row.get("batch_size", "-")),
            f"{1000 * row['seconds_per_image']:.0f}" if "seconds_per_image" in row else "-",
            f"{row['peak_bytes_over_data'] / 1e6:,.0f}" if "peak_bytes_over_data" in row else "-",
        ]
        for name, row in cost["costs"].items()
    ]
    ratios = " and ".join(
        f"{ratio:.0f} times below {name.replace('_', ' ')} (aimed at: {cost['bars'][name]})"
        for name, ratio in cost["backward_ratio"].items()
    )
    text = f"""
        `udta` trains on stored features; the others run the backbone on the images in every epoch. MFLOPs of one image, two a
        multiply-add, counted by torch (but for the gradient of a depthwise convolution's weights, which torch counts once for
        every channel: that would be ten times as much for fine-tuning); {cost["classes"]} classes; milliseconds of
        {cost["cores"]} cores an image and epoch, and memory beyond images and program in MB. udta's backward FLOPs, in which
        the turning of its directions before the first epoch is spread over all epochs, are {ratios}."""
    header = ["way", "trained parameters", "forward", "backward", "batch", "ms", "MB"]
    return f"## What an image costs\n\n{_wrapped(text)}\n{_table(header, rows)}"


def _storage(sets: Mapping[str, Any]) -> str:
    images = sum(row["parity"]["images"] for row in sets.values())
    same = sum(row["parity"]["images"] * row["parity"]["same_top1"] for row in sets.values()) / images
    text = f"""
        The same adapter on stored float16 features and on a live float32 backbone gives the same top-1 on {100 * same:.2f} % of
        {images} test images (aimed at: 99.5 %)."""
    rows = [
        [name, _spread(row["adapters"]["udta"]), _spread(row["uint8"])] for name, row in sets.items() if "uint8" in row
    ]
    if not rows:
        return f"## Stored against live\n\n{_wrapped(text)}"
    text += """ Trained and tested on 8-bit codes instead (made from the float16 features, which moves a value by at most 1/2000
        of itself; aimed at: within 0.3 point):"""
    return f"## Stored against live\n\n{_wrapped(text)}\n{_table(['set', 'float16', 'uint8'], rows)}"


def _tested(fine: Mapping[str, Any], views: int) -> dict[str, float]:
    """Its mean accuracies on one view, and averaged over as many views as a store has."""
    seeds = fine["metrics"]
    return {
        "top1": float(np.mean([each["top1"] for each in seeds])),
        "top1_views": float(np.mean([each["top1_by_views"][str(views)] for each in seeds])),
    }


def _tuned_seconds(fine: Mapping[str, Any], row: Mapping[str, Any], cost: Mapping[str, Any]) -> float:
    """On the processor that the adapters were trained on."""
    if fine["device"] == "cpu":
        return float(fine["train_seconds"])
    return float(cost["costs"]["fine_tuning"]["seconds_per_image"] * row["train"] * fine["recipe"]["epochs"])


def _spread(figures: Mapping[str, Sequence[float]]) -> str:
    return " / ".join(f"{100 * np.mean(figures[key]):.1f} ± {100 * _deviation(figures[key]):.1f}" for key in _FIGURES)


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _pair(figures: Mapping[str, float]) -> str:
    return " / ".join(_points(figures[key]) for key in _FIGURES)


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _per_cent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.0f} %"


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 130, break_long_words=False, break_on_hyphens=False) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
