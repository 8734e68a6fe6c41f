"""What a backbone's code computes, in a few numbers: the part of its identity that no text of a module shows.

`repr(module)` prints the modules and not their `forward`: `self.conv(x)` edited to `self.conv(-x)` has the same fingerprint, and
so has the same network under a torch or timm that computes something else. So the features of one fixed picture are kept in
every store and adapter, as a mean, a root mean square and eight projections by tap, and compared whenever the store is continued
or the adapter runs beside a backbone. Unlike the fields of a fingerprint they are compared with a tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from udta.errors import StaleStoreError

# Of the root mean square of a tap. Float32 with other instructions (SSE4.1, AVX2, AVX-512) and numbers of threads differs by
# 4e-6 at most (taps of ResNet-18, MobileNetV2, ConvNeXt, ViT-B/32), a changed sign or a lost activation by 0.1 and more.
TOLERANCE = 1e-3
# Of a backbone that does not run in float32 on a CPU: bf16 has 8 bits, and kernels differ by device.
LOOSE = 5e-2
EXACT_PLACE = "float32 on cpu"


@dataclass(frozen=True)
class Probe:
    """Numbers by tap: mean, root mean square and projections, all of which scale with the features; empty where not finite.

    `place` is the arithmetic and device they were computed with, `versions` those of the libraries: for people to read. A probe
    without taps is that of a store or adapter that has none.
    """

    taps: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    place: str = EXACT_PLACE
    versions: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.taps)

    def differences(self, now: Probe) -> list[str]:
        """How `now` differs from this one, which was recorded: one line for each tap, and what may be the cause; empty if equal.

        Taps that only one of them has say nothing, nor do probes of two places.
        """
        # Not even loosely: a GPU's bf16 beside a CPU's float32 would hide an edit, or cry wolf.
        if self.place != now.place:
            return []
        tolerance = TOLERANCE if self.place == EXACT_PLACE else LOOSE
        lines = [
            f"tap {tap!r}: features of a fixed picture differ by {value:.2g} of their size"
            for tap, value in self.apart(now).items()
            if value > tolerance
        ]
        if not lines:
            return []
        return [
            "code: with the same weights, this backbone computes other features than those stored",
            *lines,
            self._cause(now),
        ]

    def apart(self, other: Probe) -> dict[str, float]:
        """For each tap of both the largest difference, in units of the root mean square."""
        return {tap: _apart(self.taps[tap], other.taps[tap]) for tap in self.taps if tap in other.taps}

    def _cause(self, now: Probe) -> str:
        # Whoever upgraded torch looks for the cause in it first, so its versions stand in the message, right or wrong.
        changed = [
            f"{name} {self.versions.get(name, 'none')} then, {now.versions.get(name, 'none')} now"
            for name in sorted({*self.versions, *now.versions})
            if self.versions.get(name) != now.versions.get(name)
        ]
        libraries = f"or it is {'; '.join(changed)}" if changed else "since torch, torchvision and timm are the same"
        return f"cause: its forward, or something that it calls, was edited, {libraries}"

    def of(self, taps: Collection[str]) -> Probe:
        """The part that is about some taps."""
        return Probe({tap: numbers for tap, numbers in self.taps.items() if tap in taps}, self.place, self.versions)

    def with_more(self, more: Probe) -> Probe:
        """This one, and what `more` has of taps that it lacks."""
        # A probe has one place: numbers of another would be compared with the wrong tolerance ever after.
        if not self or self.place != more.place:
            return self
        # What was recorded first wins: else each growth could drift by a tolerance.
        return Probe({**more.taps, **self.taps}, self.place, self.versions)

    def to_json(self) -> dict[str, Any]:
        """As it stands in store attributes and adapter files."""
        # Stores that were made before there were probes have this, and are read as such.
        if not self:
            return {}
        return {
            "taps": {tap: list(numbers) for tap, numbers in self.taps.items()},
            "place": self.place,
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Probe:
        """The inverse of `to_json`."""
        if not document:
            return cls()
        taps = {str(tap): tuple(float(number) for number in numbers) for tap, numbers in document["taps"].items()}
        versions = {str(name): str(version) for name, version in document["versions"].items()}
        return cls(taps, str(document["place"]), versions)


def _apart(recorded: tuple[float, ...], now: tuple[float, ...]) -> float:
    # Empty where features are not finite: to be so then and not now, or the other way round, is as different as can be.
    if len(recorded) != len(now):
        return math.inf
    # The larger root mean square: a tap that became zero differs by 1 and is not divided by zero.
    size = max(recorded[1], now[1]) if recorded else 0.0
    return max(abs(one - other) for one, other in zip(recorded, now, strict=True)) / size if size else 0.0


def check_probe(recorded: Probe, now: Probe, where: str) -> None:
    """Raises `StaleStoreError` when `now` differs from what `where` has recorded."""
    differences = recorded.differences(now)
    if differences:
        raise StaleStoreError(f"{where} was made with another backbone than this one:", differences)
