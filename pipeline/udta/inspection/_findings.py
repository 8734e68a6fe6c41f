"""Findings as columns by name, and what a cell says of a row."""

from __future__ import annotations

from typing import Any

from udta.store import MULTICLASS, Store

Table = dict[str, list[Any]]


def label_name(store: Store, row: int) -> str:
    """The class of a row; of several labels all that it has, `a;b`; empty where there is none, and for numbers."""
    if not store.labelled[row]:
        return ""
    if store.task == MULTICLASS:
        return store.classes[int(store.labels[row])]
    if store.task == "multilabel":
        return ";".join(name for name, there in zip(store.classes, store.labels[row], strict=True) if there)
    return ""


def first_lines(table: Table, count: int) -> list[dict[str, Any]]:
    """The first lines, each as a dictionary."""
    return [dict(zip(table, values, strict=True)) for values in list(zip(*table.values(), strict=True))[:count]]
