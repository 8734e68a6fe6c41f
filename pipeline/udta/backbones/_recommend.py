"""Which taps to begin with: maps of the middle of a network, and what the model itself feeds its head.

Of a network with stages: the end of the last stage but one, a map of the last, and the average that the head reads. Of one
without (ViT, Mixer): three blocks as grids of their own size, and `pooled`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import ceil, isqrt

from udta.backbones._trace import POOLED

# Modules of a row that are looked at: a longer one is no better, and the one that ends last is the outermost.
_COUNT = 4
# Below this many sizes a network has no stages: a ViT has one size, and its stem may have another.
_MIN_STAGES = 3
# What these give is what went in, only smaller, or nothing else at all: no stage ends with one.
_PASSING = ("Pool2d", "Identity", "Dropout", "PatchEmbed")
# The map of the last stage but one, at 224 px, as it is. A coarser one loses parts of objects (docs/adapters.md).
_MIDDLE = "grid(14)"
# How deep in a transformer the blocks lie, in twelfths. Of a DeiT-tiny photographs of birds and dishes want the 7th and 10th,
# textures the 6th and 9th, and words whose font is to be told the 3rd and 5th: what ridge regression on second-order numbers of
# two or three blocks says of left-out images is in docs/adapters.md. Three that are spread are near the best of each.
_DEPTHS = (4, 7, 10)

# Whether a reducer can be had of a module.
Fits = Callable[[str, str], bool]


def recommended(
    shapes: Mapping[str, tuple[int, ...]],
    positions: Mapping[str, int],
    kinds: Mapping[str, str],
    summary: Mapping[str, str],
    fits: Fits,
) -> dict[str, str]:
    """The recommended taps, in execution order, with their reducers; an empty one stands for the default of the shape.

    Args:
        shapes: the output of each module for one image, in the order in which they are there.
        positions: how many positions in the image it speaks of: height times width, or patches.
        kinds: the class of each module.
        summary: the one tap that says what the model makes of an image, with its reducer; empty where there is none.
        fits: whether a reducer can be had of a module.
    """
    order = {
        name: index
        for index, name in enumerate(positions)
        if positions[name] > 1 and not kinds[name].endswith(_PASSING)
    }
    ends = _stage_ends(order, positions)
    if not ends:
        blocks = {name: _own_size(name, shapes[name], positions[name], fits) for name in _blocks(order, kinds)}
        return {**blocks, **{name: reducer for name, reducer in summary.items() if name not in blocks}}
    # A stage earlier has about half the channels on four times the positions, twice the bytes, and is left out.
    middle, last = ends[-2:]
    taps = {middle: _of_middle(middle, shapes[middle], fits)}
    # Behind the last map, in order of execution: the head's own pooling, with the norm that some networks have before it.
    behind = list(positions)[order[last] + 1 :]
    pools = [name for name in behind if positions[name] == 1 and kinds[name].endswith("Pool2d")]
    if pools:
        return {**taps, last: "", pools[0]: "avg" if len(shapes[pools[0]]) == 3 else ""}
    beside = [name for name in order if _parent(name) == _parent(last) and positions[name] == positions[last]]
    # A convolution behind the last block widens it for the head alone: its average is what the head reads.
    if len(shapes[last]) == 3 and len(beside) > 1:
        return {**taps, beside[-2]: "", last: "avg"}
    return {**taps, last: "", **(summary if POOLED in summary else {})}


def _of_middle(name: str, shape: tuple[int, ...], fits: Fits) -> str:
    """A smaller map is taken as it is, and of tokens the default."""
    return _MIDDLE if fits(name, _MIDDLE) else "none" if len(shape) == 3 else ""


def _own_size(name: str, shape: tuple[int, ...], patches: int, fits: Fits) -> str:
    """Patches as the map that they were cut from; what has maps is taken as in the middle of others."""
    if len(shape) != 2:
        return _of_middle(name, shape, fits)
    # With its number where that is one, as people say it; `grid` is the same for whatever shape.
    side = isqrt(patches)
    own = f"grid({side})" if side * side == patches and fits(name, f"grid({side})") else "grid"
    return own if fits(name, own) else ""


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


def _blocks(order: Mapping[str, int], kinds: Mapping[str, str]) -> list[str]:
    """The blocks: of the longest row of one kind that is not inside of another, such as the MLPs of a ViT are."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name in order:
        for group in _groups(name):
            alike.setdefault((group, kinds[name]), []).append(name)
    rows = [members for members in alike.values() if len(members) > 1]
    inside = {name for row in rows for name in row}
    outer = [row for row in rows if not all(inside.intersection(_ancestors(name)) for name in row)]
    # Where nothing is repeated, the last module.
    row = max(outer, key=lambda row: (min(len(row), _COUNT), _last(order, row)), default=list(order)[-1:])
    return [row[index] for index in sorted({ceil(depth * len(row) / 12) - 1 for depth in _DEPTHS if row})]


def _ancestors(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)))


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _groups(name: str) -> tuple[str, str]:
    """The siblings and the namesakes that a module belongs to: `blocks.1.` and `blocks.*.*` for `blocks.1.3`."""
    parent, _, own = name.rpartition(".")
    return f"{parent}.", f"{re.sub(r'[0-9]+', '*', parent)}.{'*' if own.isdigit() else own}"


def _last(order: Mapping[str, int], members: Iterable[str]) -> int:
    return max(map(order.__getitem__, members))
