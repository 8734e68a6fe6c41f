"""`udta.inspect`: what cached features say about the images and labels of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Int64

from udta._console.progress import Progress, watched
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._machine.device import resolve_device
from udta.adapters import load_adapter
from udta.errors import ConfigError
from udta.inspection._axes import principal
from udta.inspection._class_sizes import class_sizes
from udta.inspection._copies import Pair, copies, layout_vectors
from udta.inspection._findings import Table, label_name
from udta.inspection._held_out import HeldOutAnswers, left_out, pooled
from udta.inspection._inspection import Inspection
from udta.inspection._map import embedding_map
from udta.inspection._oddities import outliers
from udta.inspection._suspects import label_errors, wrong
from udta.inspection._vectors import averages, vectors_of
from udta.labels import with_labels
from udta.scoring import labels_among, view_answers
from udta.store import MULTICLASS, Store

_AXES = 256  # of the deepest tap, for the map and for what is unlike all others


@watched("rows compared")
@one_writer_of("out")
def inspect(
    store: str | Path | Store,
    *,
    adapter: str | Path | None = None,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str = MULTICLASS,
    separator: str | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> Inspection:
    """Look for label errors, copies across and within splits, confident mistakes, odd images and small classes.

    Features of view 0 are read three times; neither backbone nor photographs are needed. Memory is 10 to 30 KB an image (of a
    MobileNetV2 with its recommended taps), whatever the size of maps. Labels are judged by a fit to all other images.

    Args:
        store: a complete store, or its path.
        adapter: a run whose mistakes to list, on the split `test` where there is one; by default those of the fit to all others.
        labels: a file of other labels than the store's own; with `column`, `task` and `separator` as of `udta.with_labels`.
        column: of `labels`.
        task: what the labels are for. Only of classes label errors and mistakes are looked for.
        separator: of `labels`.
        out: a folder for a CSV file a table and `inspection.json`.
        device: where `adapter` runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of t-SNE, and of the sample that it is made of.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, and of how many.

    Returns:
        Tables, the worst line first, and where each image lies on a map.

    Raises:
        AdapterError: the adapter was trained on other features, or does not know a class of the store.
        ConfigError: labels do not fit, or the store has fewer than three images.
        FeatureError: features that are not finite.
        UncommittedRowError: the extraction is unfinished.
        OutputBusyError: another process is writing into `out`.

    Example:
        >>> udta.inspect("photos.zarr").images
        24
    """
    target = None if out is None else local_path("out", out)
    opened = with_labels(store, labels, column=column, task=task, separator=separator)
    rows = opened.rows()
    if len(rows) < 3:
        raise ConfigError(f"{opened.path} has {len(rows)} image(s): there is nothing to compare below three")
    given = None if adapter is None else _answers_of(adapter, opened, str(resolve_device(device)))
    layout = layout_vectors(opened, rows)
    pairs = copies(opened, rows, layout, len(opened.taps))
    del layout
    held_out, notes = _held_out(opened, rows)
    deepest = principal(vectors_of(opened, rows, list(opened.taps)[-1], averages), _AXES)
    placed, map_notes = embedding_map(opened, rows, deepest, seed)
    answers = given or held_out
    found = Inspection(
        str(opened.path),
        opened.task,
        len(rows),
        answers.source if answers else "",
        label_errors=label_errors(opened, held_out) if held_out else None,
        wrong=wrong(opened, answers) if answers else None,
        leaks=_pair_table(opened, [pair for pair in pairs if _leaks(opened, pair)]),
        duplicates=_pair_table(opened, [pair for pair in pairs if not _leaks(opened, pair)]),
        outliers=outliers(opened, rows, F.normalize(deepest, dim=1)),
        classes=_classes(opened, rows, held_out),
        map=placed,
        notes=(*notes, *map_notes),
    )
    if target is not None:
        found.write(target)
    return found


def _answers_of(run: str | Path, store: Store, device: str) -> HeldOutAnswers:
    """What a run says of images that it was not trained on."""
    module, header = load_adapter(Path(run))
    where = f"store {str(store.path)!r}"
    header.check(store.fingerprint, where)
    header.check_code(store.layout.probe, where)
    if header.task != MULTICLASS:
        raise ConfigError(f"the run {run} is {header.task}: mistakes are looked for among classes alone")
    test = "test" if (store.splits == "test").any() else None
    rows = store.rows(test)
    rows = rows[store.labelled[rows]]
    if not len(rows):
        raise ConfigError(f"{store.path} has no labelled image to hold {run} against")
    own = labels_among(store, module.task, header.classes, rows)
    answers = view_answers(module, store, rows, device, [0])[:, 0]
    # Its classes in the order of the store, which may have fewer.
    order = [header.classes.index(name) for name in store.classes]
    columns = np.full((len(rows), len(store.classes)), -np.inf, dtype=np.float32)
    columns[:] = answers[:, order]
    of_split = "all images" if test is None else "split 'test'"
    assert len(own) == len(rows)
    return HeldOutAnswers(rows, store.labels[rows], columns, f"{run} on {of_split}")


def _held_out(store: Store, rows: Int64[np.ndarray, " rows"]) -> tuple[HeldOutAnswers | None, list[str]]:
    """What a fit to all other images says of labelled ones; None, and why, where it can say nothing."""
    if store.task != MULTICLASS:
        return None, [f"labels are {store.task}: wrong labels and mistakes are looked for among classes alone"]
    rows = rows[store.labelled[rows]]
    if len(np.unique(store.labels[rows])) < 2:
        return None, ["images of fewer than two classes have a label: wrong labels and mistakes are not looked for"]
    return left_out(rows, store.labels[rows], pooled(store, rows), len(store.classes)), []


def _classes(store: Store, rows: Int64[np.ndarray, " rows"], held_out: HeldOutAnswers | None) -> Table | None:
    if held_out is not None:
        return class_sizes(store, held_out.rows, held_out.predicted != held_out.labels)
    rows = rows[store.labelled[rows]]
    return class_sizes(store, rows, None) if store.task != "regression" and len(rows) else None


def _leaks(store: Store, pair: Pair) -> bool:
    return bool(store.splits[pair.first] != store.splits[pair.second])


def _pair_table(store: Store, pairs: list[Pair]) -> Table:
    # What was learned from stands first, where one of the two was.
    ordered = [(p.second, p.first) if store.splits[p.second] == "train" else (p.first, p.second) for p in pairs]
    table: dict[str, list[Any]] = {}
    for at, which in enumerate(("first", "second")):
        of_side = [pair[at] for pair in ordered]
        table[which] = store.ids[of_side].tolist()
        table[f"split_{which}"] = store.splits[of_side].tolist()
        table[f"label_{which}"] = [label_name(store, row) for row in of_side]
    return {**table, "likeness": [p.likeness for p in pairs], "same_bytes": [p.same_bytes for p in pairs]}
