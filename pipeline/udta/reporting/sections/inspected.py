"""What an inspection found in a store: a map, copies across splits, labels that are probably wrong, odd images, small classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from udta.inspection import Inspection
from udta.reporting._charts import Series, point_chart
from udta.reporting._page import Block, Gallery, Missing, Picture, Table
from udta.reporting._svg import Chart
from udta.reporting._thumbnails import Thumbnails
from udta.reporting.sections._words import slug

_NAMED = 7  # classes with a colour of their own in the map; all others share the last
_PAIRS, _IMAGES = 6, 12  # with pictures


def inspected(found: Inspection, thumbnails: Thumbnails, title: str) -> list[Block]:
    """The blocks of one store, which `thumbnails` reads; `title` names it."""
    counts = found.counts
    rows = {name: row for row, name in enumerate(thumbnails.store.ids.tolist())}
    blocks: list[Block] = list(_maps(found, title))
    for table, what in ((found.leaks, "in two splits"), (found.duplicates, "in one split")):
        pairs = _lines(table, _PAIRS)
        pictures = [
            thumbnails.picture(
                rows[line[side]], line[f"split_{side}"], "same bytes" if line["same_bytes"] else _alike(line)
            )
            for line in pairs
            for side in ("first", "second")
        ]
        blocks += _gallery(
            pictures, f"{len(table['first'])} pairs {what} that look like one photograph, the surest first."
        )
    if found.label_errors is not None and found.wrong is not None:
        likely = [line for line in _lines(found.label_errors, found.images) if line["likely"]][:_IMAGES]
        blocks += _gallery(
            [_judged(thumbnails, rows, line) for line in likely],
            f"{counts['label_errors']} labels that are probably wrong, the most suspicious first.",
        )
        blocks += _gallery(
            [_judged(thumbnails, rows, line) for line in _lines(found.wrong, _IMAGES)],
            f"{counts['wrong']} wrong answers of {found.answers}, the most confident first.",
        )
    odd = [line for line in _lines(found.outliers, _IMAGES) if line["unusual"]]
    blocks += _gallery(
        [thumbnails.picture(rows[line["path"]], line["label"]) for line in odd],
        f"{counts['outliers']} images unlike all others, the farthest first.",
    )
    blocks += _small(found)
    if thumbnails.problem:
        blocks.append(Missing(f"Some photographs could not be read: {thumbnails.problem}"))
    return blocks + [Missing(note) for note in found.notes]


def _maps(found: Inspection, title: str) -> Iterator[Chart]:
    labels = found.map["label"]
    largest = [name for name, _ in Counter(labels).most_common(_NAMED if len(set(labels)) > _NAMED + 1 else None)]
    for way, name in (("t-SNE", "tsne"), ("two principal axes", "pca")):
        points = [
            (label if label in largest else "all others", x, y)
            for label, x, y in zip(labels, found.map[f"{name}_1"], found.map[f"{name}_2"], strict=True)
            if x is not None
        ]
        if not points:
            continue
        by_series = {}
        for called in dict.fromkeys(sorted(point[0] for point in points)):
            own = [point for point in points if point[0] == called]
            by_series[called or "without a class"] = Series([x for _, x, _ in own], [y for _, _, y in own])
        yield point_chart(
            slug(f"map-{name}", title),
            by_series,
            alt=f"Map of {len(points)} images of {title} by {way}, coloured by class.",
            caption=f"{len(points)} images by {way} of the deepest tap: near each other is what the backbone sees alike.",
            size=4,
        )


def _judged(thumbnails: Thumbnails, rows: Mapping[str, int], line: Mapping[str, Any]) -> Picture | None:
    said = f"looks like {line['suggested']} ({line['probability_suggested']:.0%})"
    return thumbnails.picture(rows[line["path"]], line["label"], said)


def _small(found: Inspection) -> list[Block]:
    small = [line for line in _lines(found.classes or {}, _IMAGES) if line["too_small"]]
    if not small:
        return []
    splits = [name for name in small[0] if name.startswith("images_")]
    return [
        Table(
            ("class", "images", *(name.removeprefix("images_") for name in splits)),
            [[line["class"], str(line["images"]), *(str(line[name]) for name in splits)] for line in small],
            f"{found.counts['small_classes']} classes with fewer than ten images in a split, the smallest first.",
        )
    ]


def _gallery(pictures: list[Picture | None], caption: str) -> list[Block]:
    there = [picture for picture in pictures if picture]
    return [Gallery(there, caption)] if there else []


def _alike(line: Mapping[str, Any]) -> str:
    return f"{line['likeness']:.2f} alike"


def _lines(table: Mapping[str, list[Any]], most: int) -> list[dict[str, Any]]:
    return [dict(zip(table, values, strict=True)) for values in list(zip(*table.values(), strict=True))[:most]]
