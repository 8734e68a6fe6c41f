"""What the extractions that made a store took. It lies beside the store, decides nothing, and may be lost without harm.

Not inside: two stores of the same features shall be the same bytes, however long they took.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from udta._files.atomic import write_json


def report_path(path: Path) -> Path:
    """The file that belongs to the store at `path`."""
    return path.with_name(f"{path.name}.report.json")


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The reports of all extractions that worked on a store, oldest first; none where they are lost or damaged."""
    # A lost report is no reason for an error in a store that is whole; figures of cost are left out then.
    try:
        return [dict(run) for run in json.loads(report_path(path).read_bytes())["runs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def add_run(path: Path, report: Mapping[str, Any], *, anew: bool) -> None:
    """Keep a report behind those of earlier runs, unless the store began `anew`; not where nothing can be written."""
    # The folder may be one that nothing can be written to, and every block is committed by now.
    with contextlib.suppress(OSError):
        write_json(report_path(path), {"runs": [*([] if anew else read_runs(path)), dict(report)]})


def extraction_totals(path: Path) -> dict[str, Any]:
    """`seconds`, `images` (views through the backbone), `bytes` written, `forward_seconds` and `device` of all runs together.

    Empty where nothing is known.
    """
    runs = read_runs(path)
    try:
        return {
            "seconds": sum(run["seconds"] for run in runs),
            "images": sum(run["computed_images"] for run in runs),
            "bytes": sum(run["written_bytes"] for run in runs),
            "forward_seconds": sum(run["step_seconds"]["forward"] for run in runs),
            "device": runs[0]["device"],
        }
    except (KeyError, TypeError, IndexError):  # a report of an older udta, or none
        return {}
