"""`udta info`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from udta._console.terminal import one_line
from udta.cli._common import STORE, emit, json_option


@click.command(
    short_help="What a store holds.",
    epilog="""\b
Example:
  udta info photos.zarr""",
)
@click.argument("store", type=STORE)
@json_option
def info(store: Path, as_json: bool) -> None:
    """Say what STORE holds: rows, splits, taps, views, what it was made from, and whether it is complete."""
    from udta.extraction.report import stored_bytes
    from udta.store import open_store

    opened = open_store(store)
    document: dict[str, Any] = {
        "store": str(store),
        "format": opened.format,
        "codec": opened.layout.codec,
        "rows": len(opened),
        "committed": opened.n_committed,
        "complete": opened.complete,
        "skipped": {str(opened.ids[row]): reason for row, reason in opened.skipped.items()},
        "views": opened.n_views,
        "block_rows": opened.layout.block_rows,
        "classes": list(opened.classes),
        "splits": dict(sorted(Counter(opened.splits.tolist()).items())),
        "split_rule": opened.layout.split_rule,
        "taps": [tap.to_json() for tap in opened.taps.values()],
        "bytes": stored_bytes(store),
        "storage_error": dict(opened.layout.storage_error),
        "compute_error": dict(opened.layout.compute_error),
        "memory_format": opened.layout.memory_format,
        "impure": list(opened.layout.impure),
        "probe": opened.layout.probe.to_json(),
        "extraction": dict(opened.extraction),
        "clipped": opened.clipped,
        "fingerprint": {"sha256": opened.fingerprint.digest, **opened.fingerprint.fields},
        "source": dict(opened.source),
    }
    emit(as_json, document, _text(document))


# A line each, with a word of up to nine letters before it; everything is in the JSON as well.
def _text(document: dict[str, Any]) -> str:
    state = "complete" if document["complete"] else f"UNFINISHED: {document['committed']} rows committed"
    splits = ", ".join(f"{one_line(name)} {count}" for name, count in document["splits"].items())
    fingerprint = document["fingerprint"]
    lines = [
        f"{document['store']}: {document['rows']} rows x {document['views']} view(s), {document['bytes'] / 1e6:.1f} MB, {state}",
        f"format    {document['format']}, codec {document['codec']}, blocks of {document['block_rows']} rows",
        # `one_line`, here and below: names come from folders and files, and a newline in one would make a line that lies.
        f"classes   {len(document['classes'])}: {', '.join(map(one_line, document['classes'][:8]))}"
        f"{', ...' * (len(document['classes']) > 8)}",
        f"splits    {splits} ({document['split_rule']})",
        *(
            f"tap       {tap['name']} = {tap['reducer']} {'x'.join(map(str, tap['shape']))} {tap['dtype']}"
            for tap in document["taps"]
        ),
        *([f"taps      {one_line(str(document['source']['taps']))}"] if "taps" in document["source"] else []),
        f"backbone  {_said(fingerprint, 'backbone', 'factory')}, "
        # Twelve digits tell any weights apart that somebody has; the JSON has all 64.
        f"weights sha256 {_said(fingerprint, 'backbone', 'weights')[:12]}...",
        *_published(document["source"]),
        f"input     {_said(fingerprint, 'input', 'evaluate')}",
        f"augment   {_said(fingerprint, 'views', 'augment')} (seed {_said(fingerprint, 'views', 'seed')})",
        f"compute   {_said(fingerprint, 'compute')}, {document['memory_format']}",
        *(f"IMPURE    {module} is no function of one image" for module in document["impure"]),
        f"sha256    {fingerprint['sha256']}",
    ]
    lines += _extraction(document["extraction"])
    lines += _compute_error(document)
    lines += _storage_error(document)
    lines += [f"skipped   {one_line(name)}: {reason}" for name, reason in document["skipped"].items()]
    return "\n".join(lines)


def _published(source: dict[str, Any]) -> list[str]:
    """Which weights of those that are published, where they were found by a name."""
    return [f"weights   {one_line(source['id'])} at {one_line(source.get('revision'))}"] if source.get("id") else []


def _said(fingerprint: dict[str, Any], *names: str) -> str:
    """A field of the fingerprint, or `unknown`: a store that was made by hand need not have it."""
    field: Any = fingerprint
    for name in names:
        field = field.get(name) if isinstance(field, dict) else None
    return "unknown" if field is None else str(field)


def _extraction(totals: dict[str, Any]) -> list[str]:
    """What all runs that filled the store took; nothing where it was made by `export` or by hand."""
    if not totals:
        return []
    rate = totals["images"] / max(totals["seconds"], 1e-9)  # a report that somebody edited may say 0 s
    return [f"extracted {totals['images']} images in {totals['seconds']:.1f} s ({rate:.0f}/s) on {totals['device']}"]


# Both deviations are relative root mean squares by tap, measured when the extraction began.
def _compute_error(document: dict[str, Any]) -> list[str]:
    error = document["compute_error"]
    if not error:
        return []
    taps = ", ".join(f"{tap} {value:.2g}" for tap, value in error.get("relative_rmse", {}).items())
    compute = _said(document["fingerprint"], "compute")
    return [f"deviation {compute} from float32, relative: {taps} (measured on {error.get('images')} images)"]


def _storage_error(document: dict[str, Any]) -> list[str]:
    error = document["storage_error"]
    if not error:
        return []
    taps = ", ".join(f"{tap} {value:.2g}" for tap, value in error.get("relative_rmse", {}).items())
    difference = error.get("probe_top1_difference")
    probe = "" if difference is None else f"; top-1 of a linear probe {100 * difference:+.1f} points"
    clipped = f"; clipped {sum(document['clipped'].values())} values" if document["clipped"] else ""
    return [f"storage   relative error {taps}{probe} (measured on {error.get('images')} images){clipped}"]
