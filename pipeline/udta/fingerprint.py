"""What decides the value of a stored feature, as one canonical JSON document.

A stale hit looks entirely normal: the shapes fit, training converges, and the numbers are those of another network. Caches
keyed by model names, paths or times of change are stale sooner or later (kohya_ss#1629, datasets#5161), so the key here is
declared *content*: the weight bytes, the architecture, the taps with their reducers, the transform, the view specification and
its seed, the arithmetic and the storage type. What cannot change a value (paths, batch size, worker count, file times) is left
out, so that it cannot cost a re-extraction either. Which samples a store covers is not in here: that is the ledger's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from udta.errors import StoreError

# Raised by one whenever our own code changes what a feature's value is (decoding, resampling, reducers, normalisation).
FEATURE_VERSION = 3  # 2: large JPEGs at 1/2, 1/4 or 1/8 of their size; 3: other colour profiles than sRGB are applied

# Stands for the content hash of a file that could not be read when the images were listed. It has the form of a SHA-256 and is
# the hash of nothing that was ever found, so that a file which is there again is new content to every store.
UNREADABLE = "0" * 64


@dataclass(frozen=True)
class TapSpec:
    """One stored tap: `shape` is that of one view of one sample after the reducer, `dtype` is as stored.

    `name` is that of the array in the store, `module` what it is taken from, which is the same unless it is said.
    """

    name: str
    reducer: str
    shape: tuple[int, ...]
    dtype: str
    module: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", self.module or self.name)

    def to_json(self) -> dict[str, Any]:
        """As it stands in store attributes and adapter files."""
        return {"name": self.name, **self.identity, "dtype": self.dtype}

    @property
    def identity(self) -> dict[str, Any]:
        """As it stands under its name in fingerprints."""
        # A module is written only where the name is another: stores of before a module could be kept twice have none.
        module = {} if self.module == self.name else {"module": self.module}
        return {**module, "reducer": self.reducer, "shape": list(self.shape)}

    @property
    def attributes(self) -> dict[str, Any]:
        """As they stand at its array in the store, beside what the array itself shows."""
        module = {} if self.module == self.name else {"module": self.module}
        return {"reducer": self.reducer, "dtype": self.dtype, **module}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TapSpec:
        """The inverse of `to_json`."""
        name, reducer, shape = document["name"], document["reducer"], tuple(document["shape"])
        return cls(name, reducer, shape, document["dtype"], document.get("module", ""))


@dataclass(frozen=True)
class Fingerprint:
    """Nested JSON fields; two stores hold the same features exactly when their fingerprints are equal.

    Top-level fields: `feature_version`, `backbone` (factory, architecture, weights), `input` (transform, mean, std),
    `taps` (module where it is another, reducer, shape by name), `views` (count, seed, augment), `compute`, `dtype`.
    """

    fields: Mapping[str, Any]

    @property
    def canonical(self) -> str:
        """The one spelling of these fields: sorted keys, no white space."""
        # ASCII, so that the digest is of characters and not of an encoding. Taps are sorted with all else: the order in which
        # they are computed follows from the architecture, and the order in which somebody asked for them decides nothing.
        return json.dumps(self.fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical spelling, hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def text(self, *names: str) -> str:
        """One field that is text, by the names that lead to it.

        Raises:
            StoreError: it is not there, as in a fingerprint that was made by hand.
        """
        field: Any = self.fields
        for name in names:
            field = field.get(name) if isinstance(field, Mapping) else None
        if not isinstance(field, str):
            raise StoreError(f"the fingerprint does not say {'/'.join(names)}, so its features cannot be made again")
        return field

    def part(self, *names: str) -> Fingerprint:
        """The top-level fields named, such as `part("backbone", "input")`: what an adapter needs to agree with."""
        return Fingerprint({name: self.fields[name] for name in names if name in self.fields})

    def diff(self, other: Fingerprint, ours: str = "stored", theirs: str = "asked") -> list[str]:
        """One line for each field that differs, `field: stored 'a', asked 'b'`; empty when they are equal."""
        left, right = dict(_leaves(self.fields)), dict(_leaves(other.fields))
        absent = "nothing"  # no None: null is a value that a field may have
        return [
            f"{name}: {ours} {_show(left.get(name, absent))}, {theirs} {_show(right.get(name, absent))}"
            for name in sorted(left.keys() | right.keys())
            if left.get(name, absent) != right.get(name, absent)
        ]


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        # A list is one value: of a shape or a mean, a line for each number would say less.
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def _show(value: object) -> str:
    text = json.dumps(value)
    # A factory with its arguments may be long, a line of an error may not.
    return text if len(text) <= 80 else text[:77] + "..."
