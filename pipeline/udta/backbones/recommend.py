"""Which taps to begin with: the ends of a network's last stages, or blocks spread over its depth where it has no stages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

_COUNT = 4
# Below this many sizes a network has no stages: a ViT has one size, and its stem may have another.
_MIN_STAGES = 3
# What these give is what went in, only smaller, or nothing else at all: no stage ends with one.
_PASSING = ("Pool2d", "Identity", "Dropout", "PatchEmbed")


def recommended(positions: Mapping[str, int], kinds: Mapping[str, str]) -> set[str]:
    """Up to four taps, out of modules in the order in which their outputs are there.

    Modules compete in groups, siblings or namesakes (`stages.*.blocks.*`). The group that shows most sizes gives the last module
    of each of its last four; of equals, the one that ends last, which is the outermost. Where no group has three sizes, the
    largest group of one kind gives four modules evenly spread.

    Args:
        positions: how many places of the image the output of each module has: height times width, or patches.
        kinds: the class of each module.
    """
    order = {
        name: index
        for index, name in enumerate(positions)
        if positions[name] > 1 and not kinds[name].endswith(_PASSING)
    }
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in order:
        for group in _groups(name):
            groups.setdefault((group,), []).append(name)
            groups.setdefault((group, kinds[name]), []).append(name)
    # A group that ends in the first third is a stem: that of a ViT may have as many sizes as a network with stages.
    late = [members for key, members in groups.items() if len(key) == 1 and _last(order, members) >= len(positions) / 3]
    stages = [{positions[name]: name for name in members} for members in late]
    best = max(stages, key=lambda ends: (min(len(ends), _COUNT), _last(order, ends.values())), default={})
    if len(best) >= _MIN_STAGES:
        return set(list(best.values())[-_COUNT:])
    alike = [members for key, members in groups.items() if len(key) > 1]
    longest = max(alike, key=lambda members: (min(len(members), _COUNT), _last(order, members)), default=[])
    if not longest:
        return set()
    return {longest[index] for index in np.linspace(len(longest) - 1, 0, _COUNT, endpoint=False).astype(int)}


def _groups(name: str) -> tuple[str, str]:
    """The siblings and the namesakes that a module belongs to: `blocks.1.` and `blocks.*.*` for `blocks.1.3`."""
    parent, _, own = name.rpartition(".")
    return f"{parent}.", f"{re.sub(r'[0-9]+', '*', parent)}.{'*' if own.isdigit() else own}"


def _last(order: Mapping[str, int], members: Iterable[str]) -> int:
    return max(map(order.__getitem__, members))
