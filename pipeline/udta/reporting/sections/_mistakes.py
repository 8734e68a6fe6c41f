"""Which classes are taken for which others, and the photographs most confidently wrong."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from udta.reporting._charts import matrix_chart
from udta.reporting._material import Compared, Judged, Material
from udta.reporting._page import Block, Gallery, Heading, Missing, Picture, Table
from udta.reporting._thumbnails import Thumbnails
from udta.reporting.sections._overlays import overlays
from udta.reporting.sections._words import slug

_MOST_SETTINGS = 8
_MOST_CLASSES = 40  # of a matrix whose names can be read
_PAIRS, _PICTURED, _WRONG, _EXPLAINED = 6, 3, 8, 4


def mistakes(material: Material) -> list[Block]:
    """Of the best adapter of each setting: its confusion matrix, the pairs confused most, and photographs."""
    blocks: list[Block] = []
    settings = [each for each in material.settings if each.setting.task == "multiclass"]
    for each in settings[:_MOST_SETTINGS]:
        if not each.judged:
            blocks.append(Missing(f"{each.title}: no confusion matrix, since no store of its runs could be opened."))
            continue
        blocks += [Heading(f"{each.title}, {each.judged[0].run.name}"), *_of_setting(each)]
    if len(settings) > _MOST_SETTINGS:
        blocks.append(Missing(f"Those of {len(settings) - _MOST_SETTINGS} more datasets are left out."))
    return blocks


def _of_setting(compared: Compared) -> list[Block]:
    best = compared.judged[0]
    counts, names = best.outcome.confusion, best.outcome.classes
    pairs = _pairs(counts)
    wrong = int(counts.sum() - counts.trace())
    title = f"{compared.title}, {best.run.name}"
    if not pairs:
        return [f"All {counts.sum()} test images are right."]
    worst = "; ".join(f"{names[true]} for {names[said]} {counts[true, said]} times" for true, said in pairs[:3])
    shown = _shown_classes(counts, pairs)
    kind = "" if len(shown) == len(names) else f" The {len(shown)} classes confused most, of {len(names)}."
    blocks: list[Block] = [
        matrix_chart(
            slug("confusion", compared.title),
            counts[np.ix_(shown, shown)].astype(float),
            [names[index] for index in shown],
            alt=f"Confusion matrix of {title}: {wrong} of {counts.sum()} wrong. Most often: {worst}.",
            caption=f"{wrong} of {counts.sum()} wrong. A line for each true class, darker for larger shares.{kind}",
        ),
        Table(
            ("true class", "taken for", "images", "of the class"),
            [[names[true], names[said], str(counts[true, said]), str(counts[true].sum())] for true, said in pairs],
            "The pairs confused most.",
            left=2,
        ),
    ]
    return blocks + _pictures(compared, best, pairs)


def _pairs(counts: Int[np.ndarray, "true predicted"]) -> list[tuple[int, int]]:
    """(true, predicted) of the most frequent mistakes."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    return [(int(at // len(counts)), int(at % len(counts))) for at in order if wrong.flat[at] > 0]


def _shown_classes(counts: Int[np.ndarray, "true predicted"], pairs: list[tuple[int, int]]) -> list[int]:
    if len(counts) <= _MOST_CLASSES:
        return list(range(len(counts)))
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    chosen = [*dict.fromkeys(index for pair in pairs for index in pair)]
    chosen += [int(index) for index in np.argsort(-wrong, kind="stable") if index not in chosen]
    return sorted(chosen[:_MOST_CLASSES])


def _pictures(compared: Compared, best: Judged, pairs: list[tuple[int, int]]) -> list[Block]:
    thumbnails = compared.thumbnails
    assert thumbnails is not None
    said, labels, names = best.outcome.answers[:, 0].argmax(axis=1), best.outcome.labels, best.outcome.classes
    confused: list[Picture | None] = []
    for true, taken in pairs[:_PICTURED]:
        # One that is wrong, and beside it what it was taken for.
        mistaken = np.flatnonzero((labels == true) & (said == taken))
        example = np.flatnonzero((labels == taken) & (said == taken))
        confused.append(_picture(thumbnails, best, mistaken, names[true], f"taken for {names[taken]}"))
        confused.append(_picture(thumbnails, best, example, names[taken], "for comparison"))
    probability = np.exp(best.outcome.answers[:, 0].max(axis=1))
    order = np.argsort(np.where(said == labels, -1.0, probability))[::-1][: min(_WRONG, int((said != labels).sum()))]
    wrong = [
        _picture(
            thumbnails,
            best,
            order[at : at + 1],
            names[labels[place]],
            f"{names[said[place]]}: {probability[place]:.0%}",
        )
        for at, place in enumerate(order.tolist())
    ]
    blocks: list[Block] = [
        Gallery([picture for picture in pictures if picture], what)
        for pictures, what in (
            (confused, "The pairs confused most, each beside a photograph of what it was taken for."),
            (wrong, "The photographs most confidently wrong: their class, what is said, and how surely."),
        )
        if any(pictures)
    ]
    blocks += overlays(best, thumbnails, order[:_EXPLAINED].tolist())
    if thumbnails.problem:
        blocks.append(Missing(f"{compared.title}: some photographs could not be read: {thumbnails.problem}"))
    return blocks


def _picture(thumbnails: Thumbnails, judged: Judged, places: np.ndarray, *lines: str) -> Picture | None:
    """The first of these places of the judged rows."""
    return thumbnails.picture(int(judged.rows[places[0]]), *lines) if len(places) else None
