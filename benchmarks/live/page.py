"""What docs/accuracy.md says of live rivals: full fine-tuning beside `udta`, and what an image costs each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.accuracy_results import FIGURES, Sets, accuracy, mean, train_seconds
from benchmarks.markdown import pair, table, wrapped


def fine_tuning(sets: Sets, tuned: Mapping[str, Mapping[str, Any]], cost: Mapping[str, Any]) -> str:
    """Of the sets that were fine-tuned, accuracies and times."""
    recipe = next(iter(tuned.values()))["recipe"]
    rows = [
        [
            name,
            pair(_figures(sets[name])),
            pair(_tested(each, sets[name])),
            _rate(each),
            f"{len(each['metrics'])}, {each['device']}",
        ]
        for name, each in tuned.items()
    ]
    ours, theirs = (
        {key: mean({name: sets[name] for name in tuned}, "udta", key) for key in FIGURES},
        _mean(sets, tuned),
    )
    rows.append(["mean", pair(ours), pair(theirs), "", ""])
    text = f"""
        Every weight of the MobileNetV2 trained for {recipe["epochs"]} epochs of SGD, with the augmentation of the views drawn
        anew in every epoch, one cycle and label smoothing; per cent, single view / averaged over the views. The learning rate
        was chosen on a third of the training images after {next(iter(tuned.values()))["tuning"]["epochs"]} epochs on the rest;
        the rates go up until the best is not the largest (the last table of this section). Aimed at: `udta` within 1 point or
        better."""
    header = ["set", "udta", "fine-tuning", "learning rate", "seeds, device"]
    return "\n".join(
        [
            "## Against full fine-tuning\n",
            wrapped(text),
            table(header, rows),
            _times(sets, tuned, cost),
            _rates(tuned),
        ]
    )


def _rate(fine: Mapping[str, Any]) -> str:
    """What it was trained with, and the better one where that is still to be trained."""
    used, best = fine["recipe"]["lr"], fine["tuning"]["lr"]
    return f"{used:g}" if used == best else f"{used:g} ({best:g} is to be trained yet)"


def _rates(tuned: Mapping[str, Mapping[str, Any]]) -> str:
    """Held-out accuracy and loss of every rate that was tried."""
    tried = {name: each["tuning"]["held_out"] for name, each in tuned.items()}
    rates = sorted({rate for held in tried.values() for rate in held}, key=float)
    rows = [[name, *(_held_out(held.get(rate, {}).get(name)) for rate in rates)] for name, held in tried.items()]
    text = """Top-1 in per cent and loss on the held-out third of the training images, by learning rate; the chosen one has the
        best accuracy, then the least loss."""
    return f"{wrapped(text)}\n{table(['set', *rates], rows)}"


def _held_out(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    where = "" if figures["device"] == "cpu" else " (GPU)"
    return f"{100 * figures['top1']:.1f}, {figures['loss']:.2f}{where}"


def against_fine_tuning(
    sets: Sets, tuned: Mapping[str, Mapping[str, Any]], cost: Mapping[str, Any]
) -> dict[str, float]:
    """The parts of its time that the adapter takes.

    `with_extraction` counts all images of a set, `with_training_images` those that are trained on; both are left out where a
    store was there before.
    """
    chosen = [sets[name] for name in tuned]
    tuned_seconds = sum(_tuned_seconds(each, sets[name], cost) for name, each in tuned.items())
    seconds = sum(train_seconds(each, "udta") for each in chosen)
    found = {"training_alone": seconds / tuned_seconds}
    if all(_extraction(each) for each in chosen):
        every = sum(_extraction(each) for each in chosen)
        used = sum(_extraction(each) * each["train"] / (each["train"] + each["n"]) for each in chosen)
        found["with_extraction"] = (seconds + every) / tuned_seconds
        found["with_training_images"] = (seconds + used) / tuned_seconds
    return found


def _times(sets: Sets, tuned: Mapping[str, Mapping[str, Any]], cost: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{train_seconds(sets[name], 'udta'):.0f}",
            f"{_extraction(sets[name]):.0f}" if _extraction(sets[name]) else "-",
            f"{_tuned_seconds(each, sets[name], cost):.0f}",
        ]
        for name, each in tuned.items()
    ]
    found = against_fine_tuning(sets, tuned, cost)
    ratio = f"udta takes 1/{1 / found['training_alone']:.0f} of the training time (aimed at: 1/30)"
    if "with_extraction" in found:
        ratio += f"""; with the extraction of the training images 1/{1 / found["with_training_images"]:.1f}, with that of all
            images 1/{1 / found["with_extraction"]:.1f} (aimed at: 1/5)"""
    text = """Processor seconds for training without choosing a learning rate. For fine-tuning it is the time of an image and
        epoch on a CPU, measured alone on the machine (the last table of the next section), times images and epochs:"""
    header = ["set", "udta, training", "extraction, all images and views", "fine-tuning"]
    return f"{wrapped(text)}\n{table(header, rows)}\n{wrapped(ratio + '.')}"


def costs(cost: Mapping[str, Any]) -> str:
    """Operations, time and memory of an image."""
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
        MobileNetV2. `udta` trains on stored features; the others run the backbone on the images in every epoch. MFLOPs of one
        image, two a multiply-add, counted by torch (but for the gradient of a depthwise convolution's weights, which torch
        counts once for every channel: that would be ten times as much for fine-tuning); {cost["classes"]} classes; milliseconds
        of {cost["cores"]} cores an image and epoch, and memory beyond images and program in MB. udta's backward FLOPs, in which
        the turning of its directions before the first epoch is spread over all epochs, are {ratios}."""
    header = ["way", "trained parameters", "forward", "backward", "batch", "ms", "MB"]
    return f"## What an image costs\n\n{wrapped(text)}\n{table(header, rows)}"


def _figures(document: Mapping[str, Any]) -> dict[str, float]:
    return {key: accuracy(document, "udta", key) or 0.0 for key in FIGURES}


def _mean(sets: Sets, tuned: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    tested = [_tested(each, sets[name]) for name, each in tuned.items()]
    return {key: float(np.mean([each[key] for each in tested])) for key in FIGURES}


def _tested(fine: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, float]:
    """Its mean accuracies on one view, and averaged over as many views as a store has."""
    seeds, views = fine["metrics"], str(document["configuration"]["views"])
    return {
        "top1": float(np.mean([each["top1"] for each in seeds])),
        "top1_views": float(np.mean([each["top1_by_views"][views] for each in seeds])),
    }


def _tuned_seconds(fine: Mapping[str, Any], document: Mapping[str, Any], cost: Mapping[str, Any]) -> float:
    """Of all cores, on the processor that `cost` was measured on, whichever device it was trained on."""
    each = float(cost["costs"]["fine_tuning"]["seconds_per_image"]) * cost["cores"]
    return each * document["train"] * float(fine["recipe"]["epochs"])


def _extraction(document: Mapping[str, Any]) -> float:
    """Processor seconds of the default store; 0 where it was there before."""
    took = document["extraction"].get("default")
    return float(took["cpu_seconds"]) if took else 0.0
