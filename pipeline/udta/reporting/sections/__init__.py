"""The sections of a report, in the order in which they stand; each is made of the same material and says what it lacks.

_standings     which adapter is how good on which dataset, with intervals
_effort        accuracy against the time of training and against the bytes that are read
_learning      learning curves
_few_images    few-shot curves
_mistakes      which classes are taken for which others, and the photographs most confidently wrong
_overlays      where on a photograph a wrong answer comes from
_by_class      how good the best adapter is on each class, label or target
_reliability   whether probabilities are what they say
_tap_shares    what is lost without a tap
_costs         what training took, and when the cache pays
_stored        sizes and rates of stores
_origins       what everything was made of: fingerprints, versions, revisions
_difference    how two runs differ: settings, data, figures, and the photographs that one alone gets right
inspected      what is wrong with images and labels of a store
_data          the same of every store of a report
_words         how figures are written
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from udta.reporting._material import Material
from udta.reporting._page import Block
from udta.reporting.sections._by_class import by_class
from udta.reporting.sections._costs import costs
from udta.reporting.sections._data import data
from udta.reporting.sections._difference import difference
from udta.reporting.sections._few_images import few_images
from udta.reporting.sections._learning import learning
from udta.reporting.sections._mistakes import mistakes
from udta.reporting.sections._origins import origins
from udta.reporting.sections._reliability import reliability
from udta.reporting.sections._standings import headline, results, top_figures
from udta.reporting.sections._stored import stored
from udta.reporting.sections._tap_shares import tap_shares

SECTIONS: Mapping[str, Callable[[Material], Sequence[Block]]] = {
    "Results": results,
    "Learning curves": learning,
    "Few images": few_images,
    "Mistakes": mistakes,
    "Classes": by_class,
    "Calibration": reliability,
    "Taps": tap_shares,
    "Two runs compared": difference,
    "Data": data,
    "Costs": costs,
    "Stores": stored,
    "Provenance": origins,
}

__all__ = ["SECTIONS", "headline", "top_figures"]
