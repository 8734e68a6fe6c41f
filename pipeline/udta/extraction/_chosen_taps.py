"""Which taps an extraction stores: those that were asked for, else those that the store has, else the recommended ones.

The store before the recommendation: it may change with a version of udta, and the command that made a store shall go on with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from udta.backbones import (
    Backbone,
    list_taps,
    parse_taps,
    recommended_taps,
    requests_for,
    resolve_taps,
    taps_text,
)
from udta.errors import ConfigError
from udta.extraction.options import ExtractOptions
from udta.fingerprint import TapSpec
from udta.store import row_bytes, sealed_layout


@dataclass(frozen=True)
class ChosenTaps:
    """The taps of a store, and whose choice they are.

    `source` is what the store remembers of that. It is in no fingerprint: the same taps typed by hand are the same store.
    """

    specs: tuple[TapSpec, ...]
    by: Literal["asked", "stored", "recommended"]
    source: Mapping[str, str]


def choose_taps(backbone: Backbone, options: ExtractOptions) -> ChosenTaps:
    """Raises `ConfigError`: taps that cannot be, or a budget that nothing fits in."""
    if options.taps is not None:
        return ChosenTaps(resolve_taps(backbone, parse_taps(options.taps), options.dtype), "asked", {})
    # What replaces a store is what is wanted now, as a budget that was changed in `params.yaml`.
    stored = sealed_layout(options.out) if options.if_stale == "refuse" else None
    if stored is not None:
        held = _of_the_store(backbone, tuple(stored.taps.values()), options.dtype)
        if held:
            said = stored.source.get("taps")
            return ChosenTaps(held, "stored", {"taps": said} if isinstance(said, str) else {})
    text = recommended_taps(list_taps(backbone, options.dtype, options.budget))
    within = "" if options.budget is None else f" within {options.budget} bytes a view"
    if not text:
        raise ConfigError("nothing in this backbone suggests itself as a tap: give --taps, see `udta taps BACKBONE`")
    specs = resolve_taps(backbone, parse_taps(text), options.dtype)
    return ChosenTaps(specs, "recommended", {"taps": f"recommended{within}"})


@dataclass(frozen=True)
class TapsReport:
    """The taps of a store as `--taps` takes them, whose choice they are, and what one view of one image takes."""

    text: str
    by: str
    bytes_per_view: int
    budget: int | None

    @classmethod
    def of(cls, chosen: ChosenTaps, taps: Sequence[TapSpec], budget: int | None) -> TapsReport:
        """Of the taps of a store, which may be more than those that were chosen."""
        return cls(taps_text(taps), chosen.by, sum(map(row_bytes, taps)), budget)

    @property
    def lines(self) -> list[str]:
        """One for people; none where they typed the taps themselves."""
        if self.by == "asked":
            return []
        whose = "recommended" if self.by == "recommended" else "those of the store"
        # A store gets no smaller by asking for less, so this is said and no error.
        above = self.budget is not None and self.bytes_per_view > self.budget
        note = f", above the budget of {self.budget:,}: another --out will keep to it" if above else ""
        return [f"taps: {whose}, {self.text}, {self.bytes_per_view:,} bytes a view{note}"]


def _of_the_store(backbone: Backbone, stored: tuple[TapSpec, ...], dtype: str) -> tuple[TapSpec, ...]:
    """The same of this backbone; nothing where it has no such modules, since the store will be refused as another backbone's."""
    try:
        return resolve_taps(backbone, requests_for(stored), dtype, stored)
    except ConfigError:
        return ()
