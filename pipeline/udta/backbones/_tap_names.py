"""What the arrays of a store are called: a module's own name, and `MODULE@REDUCER` for what else is kept of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from udta.fingerprint import TapSpec


def named(specs: Sequence[TapSpec], stored: Iterable[TapSpec] = ()) -> tuple[TapSpec, ...]:
    """The same taps with the names that they have in a store.

    Args:
        specs: in order, of one module the one first that may have the module's name.
        stored: of the store that grows by these: what is there already keeps its name, and nothing else gets it.
    """
    there = {(tap.module, tap.reducer): tap.name for tap in stored}
    taken = {*there.values()}
    found = []
    for spec in specs:
        name = there.get((spec.module, spec.reducer)) or next(name for name in _names(spec) if name not in taken)
        taken.add(name)
        found.append(replace(spec, name=name))
    return tuple(found)


def _names(spec: TapSpec) -> Iterable[str]:
    """What a tap may be called, the shortest first; none with a character that a shell or a file system minds."""
    # `grid(7,prefix=5)` is grid7, and grid7-prefix5 where there is another grid(7).
    words = [word.replace("=", "") for word in re.split(r"[(),]+", spec.reducer) if word]
    size = words[1] if len(words) > 1 and words[1][0].isdigit() else ""
    yield spec.module
    yield f"{spec.module}@{words[0]}{size}"
    yield f"{spec.module}@{'-'.join(words)}"
    # A module may really be called `blocks@avg`.
    yield from (f"{spec.module}@{'-'.join(words)}-{number}" for number in count(2))
