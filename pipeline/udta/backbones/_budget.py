"""Recommended taps in fewer bytes: what is given up, and in which order.

First all maps get smaller together, by about half their positions at a time. Then the later maps go, each time with the others
as large as they can be; the last tap, which linear adapters read, goes never. Smaller maps before fewer: on a DeiT-tiny, two
blocks as 7 x 7 give `udta` two to three points less than as 14 x 14, one block as 14 x 14 almost five. The earlier block stays,
since second-order statistics of late ones say little more than the last tap says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from udta.errors import ConfigError
from udta.fingerprint import TapSpec
from udta.store import row_bytes

# Sides of maps. Below 4 x 4 there is no map left to speak of: 16 positions give 16 directions at most.
_SIDES = (28, 20, 14, 10, 7, 5, 4)
Stored = Callable[[str, str], TapSpec]


def within(budget: int, taps: Mapping[str, str], stored: Stored) -> dict[str, str]:
    """The most of these taps that fits.

    Args:
        budget: bytes of one view of an image.
        taps: reducer by module, in execution order; an empty one stands for the default.
        stored: what is stored of a module with a reducer.

    Raises:
        ConfigError: not even the last tap fits.
    """
    least, size = dict(taps), 0
    for chosen in _ever_fewer(taps, stored):
        least, size = chosen, sum(row_bytes(stored(name, reducer)) for name, reducer in chosen.items())
        if size <= budget:
            return chosen
    names = ",".join(f"{name}={reducer}" if reducer else name for name, reducer in least.items())
    raise ConfigError(
        f"budget is {budget:,} bytes a view, but the least of the recommended taps, {names}, takes {size:,}: give as many, or "
        "taps of your own"
    )


def _ever_fewer(taps: Mapping[str, str], stored: Stored) -> Iterator[dict[str, str]]:
    *middle, last = taps
    for count in range(len(middle), -1, -1):
        kept = {name: taps[name] for name in (*middle[:count], last)}
        yield kept
        for side in _SIDES:
            yield {name: _at_most(side, stored(name, reducer), reducer) for name, reducer in kept.items()}


def _at_most(side: int, tap: TapSpec, reducer: str) -> str:
    """The reducer of a map that has at most so many positions a side; unchanged for all that is no map."""
    if len(tap.shape) != 3 or max(tap.shape[1:]) <= side:
        return reducer
    return f"grid({min(side, *tap.shape[1:])})"
