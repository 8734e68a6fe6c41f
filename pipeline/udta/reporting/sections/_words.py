"""How figures are written, and short names for files."""

from __future__ import annotations

import hashlib
import re

from udta.reporting._runs import Run, figure_name
from udta.tasks import Task

NOTHING = "\N{EN DASH}"  # what stands where there is no figure


def written(value: float | None, task: Task) -> str:
    """The figure of a task: a share in percent, R2 as it is."""
    if value is None:
        return NOTHING
    return f"{value:.3f}" if task.in_units else f"{100 * value:.1f}"


def written_interval(run: Run) -> str:
    """The ends of its interval; empty where it has none."""
    return "" if run.interval is None else f" {NOTHING} ".join(written(end, run.task) for end in run.interval)


def unit(task: Task) -> str:
    """What stands at an axis or in a heading: `top-1 %`."""
    return figure_name(task) + ("" if task.in_units else " %")


def scaled(value: float, task: Task) -> float:
    """The figure as it is drawn: in percent where it is a share."""
    return value if task.in_units else 100 * value


def seconds(value: float | None) -> str:
    """`0.4 s`, `12 s`, `3.2 min`, `1.4 h`."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def bytes_(value: float | None) -> str:
    """`12 kB`, `3.4 MB`, `1.2 GB`."""
    if value is None:
        return NOTHING
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {name}" if value < 1000 * size else f"{value / size:,.0f} {name}"
    return f"{value:.0f} B"


def slug(*names: object) -> str:
    """A name for a file that these names cannot lead elsewhere, and that no others share."""
    text = "-".join(map(str, names))
    short = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return short if short == text else f"{short}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".strip("-")
