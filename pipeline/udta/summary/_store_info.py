"""What a store is: what its attributes, columns and ledger tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from udta._console.terminal import one_line
from udta.store import Store, stored_bytes
from udta.summary._lines import backbone_lines, classes_text, field_of, taps_lines


@dataclass(frozen=True)
class StoreInfo:
    """A store: `document` has rows, splits, taps, views, what it was made from and what is missing, as `udta info --json`."""

    document: Mapping[str, Any]

    @classmethod
    def of(cls, store: Store) -> StoreInfo:
        """Of a store that is open."""
        layout = store.layout
        return cls(
            {
                "store": str(store.path),
                "format": store.format,
                "codec": layout.codec,
                "rows": len(store),
                "committed": store.n_committed,
                "complete": store.complete,
                "skipped": {str(store.ids[row]): reason for row, reason in store.skipped.items()},
                "views": store.n_views,
                "block_rows": layout.block_rows,
                "classes": list(store.classes),
                "splits": dict(sorted(Counter(store.splits.tolist()).items())),
                "split_rule": layout.split_rule,
                "taps": [tap.to_json() for tap in store.taps.values()],
                "bytes": stored_bytes(store.path),
                "storage_error": dict(layout.storage_error),
                "compute_error": dict(layout.compute_error),
                "memory_format": layout.memory_format,
                "impure": list(layout.impure),
                "probe": layout.probe.to_json(),
                "extraction": dict(store.extraction),
                "clipped": store.clipped,
                "fingerprint": {"sha256": store.fingerprint.digest, **store.fingerprint.fields},
                "source": dict(store.source),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return dict(self.document)

    def __str__(self) -> str:
        return _text(self.document)


# A line each, with a word of up to nine letters before it; everything is in the JSON as well.
def _text(document: Mapping[str, Any]) -> str:
    state = "complete" if document["complete"] else f"UNFINISHED: {document['committed']} rows committed"
    splits = ", ".join(f"{one_line(name)} {count}" for name, count in document["splits"].items())
    fingerprint = document["fingerprint"]
    lines = [
        f"{document['store']}: {document['rows']} rows x {document['views']} view(s), {document['bytes'] / 1e6:.1f} MB, {state}",
        f"format    {document['format']}, codec {document['codec']}, blocks of {document['block_rows']} rows",
        # `one_line`, here and below: names come from folders and files, and a newline in one would make a line that lies.
        f"classes   {classes_text(document['classes'])}",
        f"splits    {splits} ({document['split_rule']})",
        *taps_lines(document["taps"]),
        *([f"taps      {one_line(str(document['source']['taps']))}"] if "taps" in document["source"] else []),
        *backbone_lines(fingerprint, document["source"]),
        f"augment   {field_of(fingerprint, 'views', 'augment')} (seed {field_of(fingerprint, 'views', 'seed')})",
        f"compute   {field_of(fingerprint, 'compute')}, {document['memory_format']}",
        *(f"IMPURE    {module} is no function of one image" for module in document["impure"]),
        f"sha256    {fingerprint['sha256']}",
    ]
    lines += _extraction(document["extraction"])
    lines += _compute_error(document)
    lines += _storage_error(document)
    lines += [f"skipped   {one_line(name)}: {reason}" for name, reason in document["skipped"].items()]
    return "\n".join(lines)


def _extraction(totals: Mapping[str, Any]) -> list[str]:
    """What all runs that filled the store took; nothing where it was made by `export` or by hand."""
    if not totals:
        return []
    rate = totals["images"] / max(totals["seconds"], 1e-9)  # a report that somebody edited may say 0 s
    return [f"extracted {totals['images']} images in {totals['seconds']:.1f} s ({rate:.0f}/s) on {totals['device']}"]


# Both deviations are relative root mean squares by tap, measured when the extraction began.
def _compute_error(document: Mapping[str, Any]) -> list[str]:
    error = document["compute_error"]
    if not error:
        return []
    taps = ", ".join(f"{tap} {value:.2g}" for tap, value in error.get("relative_rmse", {}).items())
    compute = field_of(document["fingerprint"], "compute")
    return [f"deviation {compute} from float32, relative: {taps} (measured on {error.get('images')} images)"]


def _storage_error(document: Mapping[str, Any]) -> list[str]:
    error = document["storage_error"]
    if not error:
        return []
    taps = ", ".join(f"{tap} {value:.2g}" for tap, value in error.get("relative_rmse", {}).items())
    difference = error.get("probe_top1_difference")
    probe = "" if difference is None else f"; top-1 of a linear probe {100 * difference:+.1f} points"
    clipped = f"; clipped {sum(document['clipped'].values())} values" if document["clipped"] else ""
    return [f"storage   relative error {taps}{probe} (measured on {error.get('images')} images){clipped}"]
