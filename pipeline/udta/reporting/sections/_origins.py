"""What everything was made of: fingerprints, weights and their revisions, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from udta.reporting._material import Material
from udta.reporting._page import Block, Cell, Missing, Table
from udta.reporting.sections._words import NOTHING
from udta.store import Store


def origins(material: Material) -> list[Block]:
    """Tables of stores and of runs, the versions of this report, and what could not be used."""
    blocks: list[Block] = []
    if material.stores:
        headings = (
            "store",
            "backbone",
            "weights (SHA-256)",
            "input",
            "augmentation",
            "arithmetic",
            "fingerprint",
            "made with",
        )
        blocks.append(
            Table(
                headings,
                [_store(store) for store in material.stores],
                "What decided the features.",
                left=8,
                folded=len(material.stores) > 12,
            )
        )
    runs = [(each.title, run) for each in material.settings for run in each.runs if run.header is not None][:100]
    if runs:
        common = Path(os.path.commonpath([run.path.resolve().parent for _, run in runs]))
        rows = [
            [title, run.name, *_run(run.header), str(run.path.resolve().relative_to(common))] for title, run in runs
        ]
        columns = ("dataset", "adapter", "taps", "seed", "training images", "udta", "folder")
        blocks.append(
            Table(columns, rows, f"What the adapters were trained on, in {common}.", left=7, folded=len(rows) > 12)
        )
    made = {"udta": "udta", "torch": "torch", "matplotlib": "matplotlib"}
    versions = ", ".join(f"{name} {_version(package)}" for name, package in made.items())
    blocks.append(f"This page was made with {versions} and Python {platform.python_version()}.")
    blocks += [Missing(line) for line in dict.fromkeys(material.missing)]
    return blocks


def _store(store: Store) -> list[str | Cell]:
    fields: dict[str, Any] = dict(store.fingerprint.fields)
    backbone, views = fields.get("backbone", {}), fields.get("views", {})
    published = " at ".join(str(store.source[key]) for key in ("id", "revision") if store.source.get(key))
    return [
        store.path.name,
        Cell(str(backbone.get("factory", NOTHING)), published),
        str(backbone.get("weights", NOTHING))[:12],
        str(fields.get("input", {}).get("evaluate", NOTHING)),
        Cell(str(views.get("augment", NOTHING)), f"{store.n_views} views, seed {views.get('seed', NOTHING)}"),
        Cell(f"{fields.get('compute', NOTHING)}, stored as {fields.get('dtype', NOTHING)}"),
        Cell(store.fingerprint.digest[:12], f"feature version {fields.get('feature_version', NOTHING)}"),
        ", ".join(f"{name} {number}" for name, number in store.layout.probe.to_json().get("versions", {}).items())
        or NOTHING,
    ]


def _run(header: Any) -> list[str]:
    training = header.training
    return [
        ", ".join(tap.name for tap in header.taps),
        str(training.get("seed", NOTHING)),
        str(training.get("samples", NOTHING)),
        str(training.get("udta", NOTHING)),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(no package)"
