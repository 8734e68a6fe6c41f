"""Everything that an inspection found: tables, their files, and a summary that names the worst of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udta._console.terminal import one_line
from udta._console.text_table import text_table
from udta._files.atomic import write_json
from udta._files.table_file import write_table
from udta.inspection._findings import Table, first_lines

_NAMED = 3  # of each finding, in the summary
_LISTED = 1000  # of each finding in the JSON document, and a tenth of the images; files have all


@dataclass(frozen=True)
class Inspection:
    """What was found about `images` of a store; every table is columns by name, the worst line first.

    Attributes:
        store: its path.
        task: of its labels.
        images: how many were looked at.
        answers: whose answers `wrong` has: a run, or a fit to all other images.
        label_errors: every labelled image, the most suspicious first; None where labels are not classes.
        wrong: images that were told wrong, the most confident first; None where labels are not classes.
        leaks: pairs of the same photograph in two splits, the surest first.
        duplicates: pairs of the same photograph in one split.
        outliers: images unlike all others.
        classes: their sizes, the smallest first; None for numbers.
        map: where each image lies.
        notes: what was not done or done in part, and why.
    """

    store: str
    task: str
    images: int
    answers: str
    label_errors: Table | None
    wrong: Table | None
    leaks: Table
    duplicates: Table
    outliers: Table
    classes: Table | None
    map: Table
    notes: tuple[str, ...]

    @property
    def tables(self) -> dict[str, Table]:
        """Those that there are, by the name of their file."""
        found = {
            "label_errors": self.label_errors,
            "wrong": self.wrong,
            "leaks": self.leaks,
            "duplicates": self.duplicates,
            "outliers": self.outliers,
            "classes": self.classes,
            "map": self.map,
        }
        return {name: table for name, table in found.items() if table is not None}

    def to_json(self) -> dict[str, Any]:
        """Counts, notes, and of each table but the map a list of lines: 1,000 of them, or as many as a tenth of the images."""
        listed = max(_LISTED, -(-self.images // 10))
        tables = {name: first_lines(table, listed) for name, table in self.tables.items() if name != "map"}
        return {
            "store": self.store,
            "task": self.task,
            "images": self.images,
            "answers": self.answers,
            "counts": self.counts,
            "notes": list(self.notes),
            **tables,
        }

    @property
    def counts(self) -> dict[str, int]:
        """How many: likely label errors, wrong answers, leaks, duplicates, unusual images, classes that are too small."""
        found = {"leaks": len(self.leaks["first"]), "duplicates": len(self.duplicates["first"])}
        if self.label_errors is not None and self.wrong is not None:
            found |= {"label_errors": sum(self.label_errors["likely"]), "wrong": len(self.wrong["path"])}
        found["outliers"] = sum(self.outliers["unusual"])
        if self.classes is not None:
            found["small_classes"] = sum(self.classes["too_small"])
        return found

    def write(self, out: Path) -> list[str]:
        """Write a CSV file a table and `inspection.json` into a folder, made where there is none; returns their names."""
        out.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            write_table(out / f"{name}.csv", table)
        # Last, so that who waits for it finds the tables that belong to it.
        write_json(out / "inspection.json", self.to_json())
        return [*(f"{name}.csv" for name in self.tables), "inspection.json"]

    def __str__(self) -> str:
        counts = self.counts
        lines = [f"{self.store}: {self.images} images looked at"]
        for table, count, what in (
            (self.leaks, counts["leaks"], "pair(s) in two splits that look like one photograph"),
            (self.duplicates, counts["duplicates"], "pair(s) in one split that look like one photograph"),
        ):
            lines += [f"{count} {what}", *_pairs(table)]
        if self.label_errors is not None and self.wrong is not None:
            lines += [
                f"{counts['label_errors']} label(s) that are probably wrong",
                *_answers(self.label_errors, "likely"),
            ]
            lines += [f"{counts['wrong']} wrong answer(s) of {one_line(self.answers)}", *_answers(self.wrong)]
        lines += [f"{counts['outliers']} image(s) unlike all others", *_outliers(self.outliers)]
        if self.classes is not None:
            lines += [
                f"{counts['small_classes']} class(es) with fewer than 10 images in a split",
                *_small(self.classes),
            ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _pairs(table: Table) -> list[str]:
    return _indented(
        [
            "same bytes" if line["same_bytes"] else f"{line['likeness']:.2f} alike",
            f"{one_line(line['first'])} ({one_line(line['split_first'])})",
            f"{one_line(line['second'])} ({one_line(line['split_second'])})",
        ]
        for line in first_lines(table, _NAMED)
    )


def _answers(table: Table, only: str | None = None) -> list[str]:
    # Confident learning and the order are two things: the first of those that it counts, in that order.
    lines = [line for line in first_lines(table, len(table["path"])) if only is None or line[only]]
    return _indented(
        [
            one_line(line["path"]),
            f"labelled {one_line(line['label'])} ({line['probability']:.0%})",
            f"looks like {one_line(line['suggested'])} ({line['probability_suggested']:.0%})",
        ]
        for line in lines[:_NAMED]
    )


def _outliers(table: Table) -> list[str]:
    unusual = [line for line in first_lines(table, _NAMED) if line["unusual"]]
    return _indented(
        [f"{line['distance']:.2f} away", one_line(line["path"]), one_line(line["label"])] for line in unusual
    )


def _small(table: Table) -> list[str]:
    small = [line for line in first_lines(table, len(table["class"])) if line["too_small"]]
    return _indented(
        [
            one_line(line["class"]),
            ", ".join(
                f"{line[name]} {one_line(name.removeprefix('images_'))}" for name in line if name.startswith("images_")
            ),
        ]
        for line in small[:_NAMED]
    )


def _indented(rows: Any) -> list[str]:
    lines = [["", *row] for row in rows]
    if not lines:
        return []
    return text_table([""] * len(lines[0]), lines, left=len(lines[0]), dashes=False).split("\n")[1:]
