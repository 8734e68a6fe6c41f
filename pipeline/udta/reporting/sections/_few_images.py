"""Few-shot curves: how good an adapter is after so many images a class."""

from __future__ import annotations

from typing import Any

from udta.reporting._charts import Series, line_chart
from udta.reporting._material import Material
from udta.reporting._page import Block
from udta.reporting.sections._words import slug


def few_images(material: Material) -> list[Block]:
    """A chart for each store that curves were made of."""
    blocks: list[Block] = []
    for dataset in dict.fromkeys(str(curve["store"]) for curve in material.few_shots):
        curves = [curve for curve in material.few_shots if str(curve["store"]) == dataset]
        by_series = {
            str(curve["adapter"]): _series(curve, material.numbers.get(str(curve["adapter"]))) for curve in curves
        }
        # At how many images in all, since `all` is no number: those of a class times classes.
        ticks = {
            float(point["images"]): "all" if point["shots"] is None else str(point["shots"])
            for curve in curves
            for point in curve["curve"]
        }
        called = str(curves[0]["dataset"])
        said = "; ".join(f"{name}: {points.y[0]:.1f} to {points.y[-1]:.1f} %" for name, points in by_series.items())
        blocks.append(
            line_chart(
                slug("few-shot", called, dataset),
                by_series,
                axes=("training images a class", "top-1 %"),
                alt=f"Top-1 by training images a class on {called}. {said}.",
                caption=f"{called}: mean of {curves[0]['curve'][0]['seeds']} seeds, band: one standard deviation.",
                log=True,
                ticks=ticks,
            )
        )
    return blocks


def _series(curve: dict[str, Any], number: int | None) -> Series:
    points = curve["curve"]
    x, y = [float(point["images"]) for point in points], [100 * float(point["top1"]) for point in points]
    deviation = [100 * float(point.get("top1_std") or 0.0) for point in points]
    low, high = ([value + sign * each for value, each in zip(y, deviation, strict=True)] for sign in (-1, 1))
    return Series(x, y, low, high, number)
