"""What a training is asked for, and whether a run that is there already is the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from udta.adapters import load_adapter
from udta.errors import AdapterError
from udta.fingerprint import Fingerprint
from udta.scoring import test_rows
from udta.store import MULTICLASS, Store
from udta.training._run_folder import CHECKPOINT
from udta.training._run_report import RunReport


def request(
    adapter: str,
    options: Mapping[str, Any],
    recipe: Mapping[str, Any],
    *,
    seed: int,
    store: Store,
    rows: np.ndarray,
    test_split: str | None,
) -> dict[str, Any]:
    """All that decides what a run holds, as JSON; beside it stand the classes and the fingerprint of its features.

    Not the machine, and no versions: a finished run is not made again because of them.
    """
    measured = test_rows(store, test_split)
    return {
        "adapter": adapter,
        "options": dict(options),
        "recipe": dict(recipe),
        "seed": seed,
        "training images": rows_digest(store, rows),
        "test split": None if measured is None else test_split or "test",
        "test images": None if measured is None else rows_digest(store, measured),
        # Only where it is another one: runs that were finished before there were others are found all the same.
        **({} if store.task == MULTICLASS else {"task": store.task}),
    }


def rows_digest(store: Store, rows: np.ndarray) -> str:
    """SHA-256 of which rows they are, of the contents of their images, and of their labels."""
    digest = hashlib.sha256()
    for row in rows.tolist():
        # Paths are no part of it: renamed images are the same images.
        digest.update(f"{store.hashes[store.layout.ids[row]]} {row} {store.labels[row].tolist()}\n".encode())
    return digest.hexdigest()


def finished_run(run: Path, asked: Mapping[str, Any], store: Store) -> RunReport | None:
    """The report of the run that is there, None where none was finished.

    Raises:
        AdapterError: it is another one than is asked; every difference is listed.
    """
    if not (run / "adapter.safetensors").exists() or not (run / "metrics.json").exists():
        return None
    advice = "it was left as it is: choose another --out, or give --overwrite to train anew in its place"
    try:
        header = load_adapter(run)[1]
        report = RunReport.from_json(run, json.loads((run / "metrics.json").read_text()))
    except (AdapterError, OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{run} holds a run that cannot be read ({error}); {advice}") from error
    # Runs of a sweep were not asked for as a training is; they are another thing at this path.
    there = header.training.get("asked") or {"adapter": header.adapter, "trained by": "a sweep, or an earlier version"}
    differences = _with_features(there, header.classes, header.fingerprint).diff(
        _with_features(asked, store.classes, store.fingerprint), "there"
    )
    if differences:
        raise AdapterError(
            "\n".join([f"{run} holds another finished run; {advice}:", *(f"  {line}" for line in differences)])
        )
    # The same one, but killed before its last step, or changed since: trained again it becomes what it was.
    whole = (run / "history.csv").exists() and not (run / CHECKPOINT).exists()
    return report if whole and report.metrics == header.metrics else None


def _with_features(asked: Mapping[str, Any], classes: tuple[str, ...], fingerprint: Fingerprint) -> Fingerprint:
    # Through JSON, as the other side came out of a file: tuples are lists there.
    return Fingerprint({**json.loads(json.dumps(asked)), "classes": list(classes), "features": fingerprint.fields})
