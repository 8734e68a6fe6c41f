"""docs/accuracy.md from the results, so that no figure in it can differ from what was measured: python -m benchmarks.accuracy_doc

Reads `benchmarks/results/accuracy/` and those of live rivals in `benchmarks/results/live/`. A mean is of the sets that have
everything it is compared with; a cell of what is not measured is a dash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tasks_doc
from benchmarks.accuracy_results import (
    ADAPTERS,
    FIGURES,
    FOLDER,
    Sets,
    accuracy,
    bytes_per_view,
    complete,
    deviation,
    load,
    mean,
    reduction,
    train_seconds,
)
from benchmarks.live import page
from benchmarks.markdown import per_cent, points, table, wrapped
from benchmarks.real import BACKBONES
from udta._files.atomic import write_text

_LIVE = Path(__file__).parent / "results" / "live"
_DOC = Path(__file__).parents[1] / "docs" / "accuracy.md"
_ROWS = ("regression", *ADAPTERS, "auto")
_BARS = {"mobilenet_v2": 25, "deit_tiny": 40}  # per cent of the regression's error

_HEAD = """# Accuracy

Six small photograph sets, two frozen backbones, and adapters on their stored features. Every adapter is trained with its own
default recipe from the same store, which `udta extract` made without being told which taps; whatever has to be chosen (the
rival's C and input, the learning rate of fine-tuning, the defaults themselves) was chosen on training splits. This page is
written by `python -m benchmarks.accuracy` from [its results](../benchmarks/results/accuracy) and [those of live
rivals](../benchmarks/results/live).

**ImageNet overlap.** Both backbones were trained on ImageNet, and most of the monkeys, 4 of the 10 butterflies, a few birds and
flowers are ImageNet classes. There every method looks better than it would on new classes; food and textures are the fairest.
"""


def main() -> None:
    """Write the page."""
    write_text(_DOC, rendered())


def rendered() -> str:
    """The page that the results in this repository give."""
    tuned = [json.loads(path.read_text()) for path in sorted(_LIVE.glob("fine_tuning-*.json"))]
    return f"{render(load(FOLDER), tuned, json.loads((_LIVE / 'cost.json').read_text()))}\n{tasks_doc.section()}"


def render(backbones: Mapping[str, Sets], tuned: Iterable[Mapping[str, Any]], cost: Mapping[str, Any]) -> str:
    """The page of the results by backbone, of the fine-tuned sets that there are, and of what the live rivals cost."""
    known = {name: backbones[name] for name in BACKBONES if name in backbones}
    parts = [_HEAD, *_summary(known), *(_by_set(name, sets) for name, sets in known.items())]
    parts += [_errors(known), _taps(known), _inputs(known)]
    sets = complete(known.get("mobilenet_v2", {}), ("udta",))
    if both := {each["set"]: each for each in tuned if each.get("set") in sets}:
        parts.append(page.fine_tuning(sets, both, cost))
    parts += [page.costs(cost), _storage(known)]
    return "\n".join(filter(None, parts))


def _summary(known: Mapping[str, Sets]) -> list[str]:
    text = """
        Means over the sets: top-1 in per cent, of a single view and averaged over the eight views of a test image, and how much
        lower the error is than that of the tuned regression (averaged; the mean of the sets, and that of the mean error).
        Bytes are those of one view of one image that the adapter reads. Training is processor seconds of one training with
        reading; for `auto` with the cross-validation of all its candidates, for the regression with that of its C and input.
        `auto` has the accuracy of what it picked with seed 0."""
    parts = ["## Means of the sets\n", wrapped(text)]
    for name, sets in known.items():
        rows_of = [part for part in _ROWS if any(_has(each, part) for each in sets.values())]
        same = complete(sets, ("regression", *rows_of))
        if same:
            header = ["adapter", *FIGURES.values(), "below the regression", "of the mean error", "bytes", "training, s"]
            rows = [_summary_row(same, part) for part in rows_of]
            parts += [f"### {BACKBONES[name].title}: {', '.join(same)}\n", table(header, rows)]
    return parts


def _summary_row(sets: Sets, part: str) -> list[str]:
    below = reduction(sets, part, "top1_views")
    return [
        _called(part),
        *(points(mean(sets, part, figure)) for figure in FIGURES),
        "" if part == "regression" else per_cent(below["mean"]),
        "" if part == "regression" else per_cent(below["of_mean_error"]),
        f"{np.mean([bytes_per_view(each, part) for each in sets.values()]):,.0f}",
        f"{np.mean([train_seconds(each, part) for each in sets.values()]):.1f}",
    ]


def _by_set(name: str, sets: Sets) -> str:
    rows = [[_called(part), *(_cell(each, part) for each in sets.values())] for part in _ROWS]
    rows = [row for row in rows if set(row[1:]) != {"-"}]
    rows += [
        ["`udta`, ± over seeds", *(_deviations(each) for each in sets.values())],
        [
            "picked by `auto`",
            *(f"`{each['parts']['auto']['picked']}`" if _has(each, "auto") else "-" for each in sets.values()),
        ],
        ["train / test images", *(f"{each['train']} / {each['n']}" for each in sets.values())],
    ]
    configuration = next(iter(sets.values()))["configuration"]
    text = f"""Top-1 in per cent, single view / averaged over {configuration["views"]} views, means of
        {configuration["seeds"]} seeds. `{configuration["factory"]}`."""
    return f"## {BACKBONES[name].title}, set by set\n\n{wrapped(text)}\n{table(['', *sets], rows)}"


def _errors(known: Mapping[str, Sets]) -> str:
    parts = []
    for name, every in known.items():
        sets = complete(every, ("regression", "udta"))
        if not sets:
            continue
        compared = [part for part in ("udta", "auto") if complete(sets, (part,)).keys() == sets.keys()]
        found = {(part, figure): reduction(sets, part, figure) for part in compared for figure in FIGURES}
        header = [BACKBONES[name].title, *(f"`{part}`, {FIGURES[figure]}" for part, figure in found)]
        rows = [[each, *(per_cent(one["by_set"][each]) for one in found.values())] for each in sets]
        rows += [
            ["mean of the sets", *(per_cent(one["mean"]) for one in found.values())],
            ["of the mean error", *(per_cent(one["of_mean_error"]) for one in found.values())],
            ["worst set, points", *(f"{100 * one['worst_difference']:+.2f}" for one in found.values())],
        ]
        parts.append(table(header, rows))
    aims = ", ".join(f"{_BARS[name]} % with {BACKBONES[name].title}" for name in known)
    text = f"""
        How much lower the error is than the regression's, like with like; a dash where the regression makes no error. Aimed at,
        on average: {aims}, and no set worse by more than 0.5 point."""
    return "\n".join([f"## Against the regression\n\n{wrapped(text)}", *parts])


def _taps(known: Mapping[str, Sets]) -> str:
    """Default everything."""
    rows = []
    for name, every in known.items():
        sets = complete(every, ("udta", "by_hand"))
        rows += [[BACKBONES[name].title, each, _cell(one, "udta"), _cell(one, "by_hand")] for each, one in sets.items()]
        if sets:
            gain = {figure: mean(sets, "udta", figure) - mean(sets, "by_hand", figure) for figure in FIGURES}
            means = [" / ".join(points(mean(sets, part, figure)) for figure in FIGURES) for part in ("udta", "by_hand")]
            rows.append([BACKBONES[name].title, "**mean**", *means])
            rows.append(["", "difference, points", " / ".join(f"{100 * value:+.2f}" for value in gain.values()), ""])
    if not rows:
        return ""
    stored = "; ".join(
        f"{BACKBONES[name].title}: {_listed(next(iter(sets.values()))['taps'].get('default', {}))}, by hand"
        f" {', '.join(f'`{tap}`' for tap in BACKBONES[name].by_hand)} of `{BACKBONES[name].taps}`"
        for name, sets in known.items()
    )
    text = f"""
        `udta extract` without `--taps`, then `udta train` without an option, against `udta` on the best taps that were found by
        hand; aimed at: the mean within half a point. By default: {stored}."""
    return f"## Default taps\n\n{wrapped(text)}\n{table(['backbone', 'set', 'default', 'by hand'], rows)}"


def _inputs(known: Mapping[str, Sets]) -> str:
    """Every input of the regression."""
    rows = []
    for name, every in known.items():
        for each, one in complete(every, ("regression",)).items():
            found = one["parts"]["regression"]
            cells = [
                f"{points(found['inputs'][key]['top1'])} / {points(found['inputs'][key]['top1_views'])}"
                if key in found["inputs"]
                else "-"
                for key in ("class token", "average", "both")
            ]
            chosen = found["input_top1"], found["input_top1_views"]
            rows.append([BACKBONES[name].title, each, *cells, " / ".join(chosen), points(found["view0"]["top1"])])
    if not rows:
        return ""
    text = """
        scikit-learn's logistic regression on the standardised output of the last module, trained on the same eight views of the
        training images and averaged over a test image's views in the same way; C is chosen by grouped cross-validation for each
        of the two figures, and so is the input (of tokens: the class token, the average of the patches, or both). Beside it the
        one that is trained on view 0 alone. Per cent, single view / averaged."""
    header = ["backbone", "set", "class token", "average", "both", "chosen", "view 0 alone"]
    return f"## The regression\n\n{wrapped(text)}\n{table(header, rows)}"


def _storage(known: Mapping[str, Sets]) -> str:
    documents = [(name, each, one) for name, sets in known.items() for each, one in sets.items()]
    live_ones = [one["parts"]["parity"] for _, _, one in documents if "parity" in one["parts"]]
    parts = ["## Stored against live\n"]
    if live_ones:
        images = sum(each["images"] for each in live_ones)
        same = sum(each["images"] * each["same_top1"] for each in live_ones) / images
        parts.append(
            wrapped(f"""
        The same adapter on stored float16 features and on what the backbone gives for the image now has the same top-1 on
        {100 * same:.2f} % of {images} test images (aimed at: 99.5 %).""")
        )
    rows = [
        [BACKBONES[name].title, each, _spread(one, "udta"), _spread(one, "uint8")]
        for name, each, one in documents
        if _has(one, "uint8") and _has(one, "udta")
    ]
    if rows:
        text = """Trained and tested on 8-bit codes (made from the float16 features, which moves a value by at most 1/2000 of
            itself; aimed at: within 0.3 point):"""
        parts += [wrapped(text), table(["backbone", "set", "float16", "uint8"], rows)]
    return "\n".join(parts) if len(parts) > 1 else ""


def _has(document: Mapping[str, Any], part: str) -> bool:
    return accuracy(document, part, "top1") is not None


def _cell(document: Mapping[str, Any], part: str) -> str:
    found = [accuracy(document, part, figure) for figure in FIGURES]
    return " / ".join(points(value) for value in found if value is not None) or "-"


def _deviations(document: Mapping[str, Any]) -> str:
    if not _has(document, "udta"):
        return "-"
    return " / ".join(points(deviation(document, "udta", figure)) for figure in FIGURES)


def _spread(document: Mapping[str, Any], part: str) -> str:
    return " / ".join(
        f"{points(float(accuracy(document, part, figure) or 0))} ± {points(deviation(document, part, figure))}"
        for figure in FIGURES
    )


def _listed(taps: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={reducer}`" for name, reducer in taps.items())


def _called(part: str) -> str:
    return "tuned regression" if part == "regression" else f"`{part}`"


if __name__ == "__main__":
    main()
