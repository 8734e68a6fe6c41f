"""Which taps to begin with: maps of a network's last two stages and what its head averages, or blocks spread over its depth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from udta.backbones.reducers import Reducer

# Taps of a network without stages, and stages that are looked at. Four blocks of ViT-S have 150,528 bytes an image as
# float16, between MobileNetV2's 71,552 and ResNet-50's 606,208.
_COUNT = 4
# Below this many sizes a network has no stages: a ViT has one size, and its stem may have another.
_MIN_STAGES = 3
# What these give is what went in, only smaller, or nothing else at all: no stage ends with one.
_PASSING = ("Pool2d", "Identity", "Dropout", "PatchEmbed")
# The map of the last stage but one, at 224 px, as it is. A coarser one loses parts of objects (docs/adapters.md).
_MIDDLE = "grid(14)"


def recommended(
    shapes: Mapping[str, tuple[int, ...]], positions: Mapping[str, int], kinds: Mapping[str, str]
) -> dict[str, str]:
    """The recommended taps, in execution order, with their reducers; an empty one stands for the default of the shape.

    With stages: the end of the last but one, a map of the last, and the average that the head reads, where the network pools in a
    module of its own, or else of the last map beside the one before it. Without: blocks spread over the depth.

    Args:
        shapes: the output of each module for one image, in the order in which they are there.
        positions: how many positions in the image it speaks of: height times width, or patches.
        kinds: the class of each module.
    """
    order = {
        name: index
        for index, name in enumerate(positions)
        if positions[name] > 1 and not kinds[name].endswith(_PASSING)
    }
    ends = _stage_ends(order, positions)
    if not ends:
        return dict.fromkeys(_spread(order, kinds), "")
    # A stage earlier has about half the channels on four times the positions, twice the bytes, and is left out.
    middle, last = ends[-2:]
    reducer = _of_middle(shapes[middle])
    # Behind the last map, in order of execution: the head's own pooling, with the norm that some networks have before it.
    behind = list(positions)[order[last] + 1 :]
    pooled = [name for name in behind if positions[name] == 1 and kinds[name].endswith("Pool2d")]
    if pooled:
        return {middle: reducer, last: "", pooled[0]: "avg" if len(shapes[pooled[0]]) == 3 else ""}
    beside = [name for name in order if _parent(name) == _parent(last) and positions[name] == positions[last]]
    if len(beside) < 2:
        return {middle: reducer, last: ""}
    return {middle: reducer, beside[-2]: "", last: "avg"}


def _of_middle(shape: tuple[int, ...]) -> str:
    """A smaller map is taken as it is, and of tokens the default."""
    fits = Reducer.parse(_MIDDLE).on_tokens(shape, None).problem(shape) is None
    return _MIDDLE if fits else "none" if len(shape) == 3 else ""


def _stage_ends(order: Mapping[str, int], positions: Mapping[str, int]) -> list[str]:
    """The last module of each stage, up to four; none where the size of maps hardly changes.

    Modules compete in groups, siblings or namesakes (`stages.*.blocks.*`). The group that shows most sizes gives the last module
    of each of its last four; of equals, the one that ends last, which is the outermost.
    """
    groups: dict[str, list[str]] = {}
    for name in order:
        for group in _groups(name):
            groups.setdefault(group, []).append(name)
    # A group that ends in the first third is a stem: that of a ViT may have as many sizes as a network with stages.
    late = [members for members in groups.values() if _last(order, members) >= len(positions) / 3]
    stages = [{positions[name]: name for name in members} for members in late]
    best = max(stages, key=lambda ends: (min(len(ends), _COUNT), _last(order, ends.values())), default={})
    return list(best.values())[-_COUNT:] if len(best) >= _MIN_STAGES else []


def _spread(order: Mapping[str, int], kinds: Mapping[str, str]) -> list[str]:
    """Four modules evenly spread over the largest group of one kind."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name in order:
        for group in _groups(name):
            alike.setdefault((group, kinds[name]), []).append(name)
    longest = max(alike.values(), key=lambda members: (min(len(members), _COUNT), _last(order, members)), default=[])
    if not longest:
        return []
    chosen = {longest[index] for index in np.linspace(len(longest) - 1, 0, _COUNT, endpoint=False).astype(int)}
    return [name for name in longest if name in chosen]


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _groups(name: str) -> tuple[str, str]:
    """The siblings and the namesakes that a module belongs to: `blocks.1.` and `blocks.*.*` for `blocks.1.3`."""
    parent, _, own = name.rpartition(".")
    return f"{parent}.", f"{re.sub(r'[0-9]+', '*', parent)}.{'*' if own.isdigit() else own}"


def _last(order: Mapping[str, int], members: Iterable[str]) -> int:
    return max(map(order.__getitem__, members))
