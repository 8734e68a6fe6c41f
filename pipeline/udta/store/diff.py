"""How two stores differ: what they were made from, which samples they hold, and whether shared samples have equal features."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udta._console.terminal import one_line
from udta.store._reader import Store, open_store

_CHUNK = 64  # rows of both stores in memory at a time


@dataclass(frozen=True)
class DiffReport:
    """Differences of store A and store B.

    `fingerprint` and `layout` are lines `field: A ..., B ...`; `only_a` and `only_b` are ids of samples that only one has
    features of (it may be skipped or uncommitted in the other), `changed` those with another content; `values` has for each
    shared tap the largest absolute difference over shared views and samples.
    """

    fingerprint: list[str]
    layout: list[str]
    only_a: list[str]
    only_b: list[str]
    changed: list[str]
    values: dict[str, float]

    @property
    def equal(self) -> bool:
        """Whether both hold the same features for the same samples, however they are stored."""
        lists = (self.fingerprint, self.only_a, self.only_b, self.changed)
        return not any(lists) and not any(self.values.values())

    def to_json(self) -> dict[str, Any]:
        """Every difference."""
        return {**asdict(self), "equal": self.equal}

    def __str__(self) -> str:
        lines = [f"fingerprint  {line}" for line in self.fingerprint] + [f"layout       {line}" for line in self.layout]
        for what, names in (("only in A", self.only_a), ("only in B", self.only_b), ("other content", self.changed)):
            if names:
                lines.append(
                    f"{what:13}{len(names)}: {', '.join(map(one_line, names[:5]))}{', ...' * (len(names) > 5)}"
                )
        lines += [
            f"values       tap {tap!r}: {'equal' if worst == 0 else f'differ by up to {worst:.3g}'}"
            for tap, worst in self.values.items()
        ]
        return "\n".join([*lines, "the same features" if self.equal else "NOT the same features"])


def diff(a: str | Path | Store, b: str | Path | Store, *, values: bool = True) -> DiffReport:
    """Compare two stores; rows that are not committed in both are left out of the comparison of values.

    Args:
        a: a store.
        b: another one.
        values: whether features are compared too, which reads both.

    Returns:
        Every difference; `equal` where they hold the same features for the same samples.

    Raises:
        NotAStoreError, CorruptStoreError: one of them cannot be opened.

    Example:
        >>> udta.diff("photos.zarr", "photos.zarr").equal
        True
    """
    left, right = (store if isinstance(store, Store) else open_store(store) for store in (a, b))
    ids_a, ids_b = dict(left.hashes), dict(right.hashes)
    # Of the same content: features of another image are another finding, and would hide whether the backbones agree.
    shared = [name for name in left.ids.tolist() if name in ids_a and ids_a.get(name) == ids_b.get(name)]
    return DiffReport(
        fingerprint=left.fingerprint.diff(right.fingerprint, "A", "B")
        # Where the fingerprints are the same, the code may still compute something else, which the probe shows.
        or left.layout.probe.differences(right.layout.probe),
        layout=_layout_differences(left, right),
        only_a=sorted(_readable(left) - _readable(right)),
        only_b=sorted(_readable(right) - _readable(left)),
        changed=sorted(name for name in ids_a.keys() & ids_b.keys() if ids_a[name] != ids_b[name]),
        values=_value_differences(left, right, shared) if values else {},
    )


def _readable(store: Store) -> set[str]:
    """Ids of the samples that it has features of."""
    return store.hashes.keys() - {store.layout.ids[row] for row in store.skipped}


def _layout_differences(a: Store, b: Store) -> list[str]:
    fields = {
        "format": (a.format, b.format),
        "codec": (a.layout.codec, b.layout.codec),
        "rows": (len(a), len(b)),
        "committed rows": (a.n_committed, b.n_committed),
        "block rows": (a.layout.block_rows, b.layout.block_rows),
        "classes": (list(a.classes), list(b.classes)),
        "split rule": (a.layout.split_rule, b.layout.split_rule),
        "quantisation": (
            {tap: q.to_json() for tap, q in a.layout.quantisers.items()},
            {tap: q.to_json() for tap, q in b.layout.quantisers.items()},
        ),
    }
    return [
        f"{name}: A {str(left)[:60]}, B {str(right)[:60]}" for name, (left, right) in fields.items() if left != right
    ]


def _value_differences(a: Store, b: Store, shared: list[str]) -> dict[str, float]:
    rows_a, rows_b = ({name: row for row, name in enumerate(store.ids.tolist())} for store in (a, b))
    pairs = [
        (rows_a[name], rows_b[name])
        for name in shared
        if rows_a[name] not in a.skipped and rows_b[name] not in b.skipped
    ]
    # View 0 is the evaluation image everywhere; the others are equal where seeds and augmentations are.
    views = range(min(a.n_views, b.n_views))
    result: dict[str, float] = {}
    for tap in a.taps:
        # Taps of another reducer have another shape, and no values to compare; the fingerprints say so.
        if tap not in b.taps or a.taps[tap].shape != b.taps[tap].shape:
            continue
        worst = 0.0
        for start in range(0, len(pairs), _CHUNK):
            part = np.array(pairs[start : start + _CHUNK])
            left, right = (
                store.read(part[:, side], [tap], views, dtype="float32")[tap] for side, store in enumerate((a, b))
            )
            worst = max(worst, float(np.abs(left - right).max(initial=0)))
        result[tap] = worst
    return result
