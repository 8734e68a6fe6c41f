"""The manifest: the ordered table of samples that every row of a store refers to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from udta._console.terminal import first_few, utf8
from udta._files.atomic import write_json
from udta._files.names import labels_problem, path_problem
from udta.errors import ConfigError, DataError, did_you_mean
from udta.images._contents import Contents, Files
from udta.images._sample import Sample

_FORMAT, _VERSION = "udta-manifest", 1


# Without `==`: that of `labels` would be an array, which is neither true nor false.
@dataclass(frozen=True, eq=False)
class Manifest:
    """All samples in row order, one entry of `ids`, `labels`, `splits` and `hashes` (SHA-256 of the file) for each.

    `hashes` has 64 zeros for a file that could not be read. `left_out` counts files beside them that are no images, by extension
    and reason; `notes` are sentences that the user should hear. `packed` has the images that are no files of their own.

    Raises:
        DataError: columns of different lengths, ids that are not unique or not UTF-8, labels that no class stands for.
    """

    root: Path
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " samples"]
    splits: tuple[str, ...]
    hashes: tuple[str, ...]
    split_rule: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    packed: Contents | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.labels), len(self.splits), len(self.hashes)}
        if len(lengths) > 1:
            raise DataError(f"manifest of {self.root}: its columns have different lengths {sorted(lengths)}")
        for what, names in (("image", self.ids), ("class", self.classes)):
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise DataError(
                    f"{self.root}: {len(twice)} {what} name(s) are there more than once: {first_few(twice)}"
                )
        # Stores keep ids as UTF-8 (Zarr's and HDF5's strings are nothing else).
        check_utf8(self.root, (*self.ids, *self.classes))
        if len(self.labels) and not -1 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(f"manifest of {self.root}: a label is not in -1 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, row: int) -> Sample:
        """Everything about one row."""
        return Sample(row, self.ids[row], self.contents, self.hashes[row], int(self.labels[row]), self.splits[row])

    @property
    def contents(self) -> Contents:
        """The encoded image of every row."""
        return self.packed or Files(self.root)

    def rows(self, split: str) -> Int64[np.ndarray, " rows"]:
        """The rows of a split in ascending order.

        Raises:
            ConfigError: no sample has this split.
        """
        rows = np.array([row for row, name in enumerate(self.splits) if name == split], dtype=np.int64)
        if not len(rows):
            raise ConfigError(f"{self.root} has no split {split!r}: {did_you_mean(split, sorted(set(self.splits)))}")
        return rows

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; `root` is stored as it was given, and what images are packed in is not."""
        write_json(
            path,
            {
                "format": _FORMAT,
                "version": _VERSION,
                "root": str(self.root),  # relative where it was given so: a repository can be moved with its images
                "split_rule": self.split_rule,
                "classes": self.classes,
                "ids": self.ids,
                "labels": self.labels.tolist(),
                "splits": self.splits,
                "hashes": self.hashes,
                "left_out": dict(self.left_out),
                "notes": self.notes,
            },
        )

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """The inverse of `save`, with every image as a file of its own; `udta.images.load_manifest` finds those that are none.

        Raises:
            DataError: the file cannot be read, is damaged, or is no manifest.
        """
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:  # RecursionError: brackets nested some thousand deep
            raise DataError(f"{path} is damaged, it is not JSON ({error}); make it again from the images") from error
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise DataError(f"{path} is not a manifest: it has no field format = {_FORMAT!r}")
        if document.get("version") != _VERSION:
            raise DataError(f"{path} is a manifest of version {document.get('version')!r}, this udta reads {_VERSION}")
        ids, classes = _texts(document, "ids", path), _texts(document, "classes", path)
        # A manifest may come from a stranger: an id like `../../.ssh/key` would be opened, and its bytes end as features.
        if problem := path_problem(ids) or labels_problem(classes, "class"):
            raise DataError(f"{path} is damaged ({problem}); make it again from the images")
        return cls(
            root=Path(_text(document, "root", path)),
            classes=classes,
            ids=ids,
            labels=_labels(document, path),
            splits=_texts(document, "splits", path),
            hashes=_texts(document, "hashes", path),
            split_rule=_text(document, "split_rule", path),
            left_out=_counts(document, path),
            notes=_texts({"notes": [], **document}, "notes", path),  # the first manifests had none
        )

    def summary(self) -> list[str]:
        """What was found, for people: the classes, the split, what was left out."""
        n_classes, splits = len(self.classes), Counter(self.splits)
        named = f" of {n_classes} class(es): {first_few(self.classes, 10)}" if n_classes else ", without classes"
        counted = ", ".join(f"{name} {count:,}" for name, count in splits.items())
        lines = [f"{self.root}: found {len(self):,} image(s){named}"]
        if self.classes:
            lines.append(f"split: {counted} ({self.split_rule})")
        if self.left_out:
            lines.append(f"left out: {describe_counts(self.left_out)}")
        return [utf8(line) for line in lines]


def describe_counts(left_out: Mapping[str, int], limit: int = 8) -> str:
    """`3 .txt (no image by its content), 1 thumbs.db (hidden or of the system)`."""
    return first_few([f"{count:,} {what}" for what, count in left_out.items()], limit)


def check_utf8(root: Path, names: Iterable[str]) -> None:
    """Raises `DataError` for names of files or classes that are other bytes than UTF-8, which Python carries as surrogates."""
    wrong = [name for name in names if not name.isascii() and not _is_utf8(name)]
    if wrong:
        raise DataError(f"{root}: rename these, their names are not UTF-8: {first_few(map(ascii, wrong))}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(document: dict[str, Any], field: str, path: Path) -> str:
    value = document.get(field)
    if not isinstance(value, str):
        raise DataError(f"{path} is damaged: its field {field!r} is no text; make it again from the images")
    return value


def _texts(document: dict[str, Any], field: str, path: Path) -> tuple[str, ...]:
    values = document.get(field)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError(f"{path} is damaged: its field {field!r} is no list of texts; make it again from the images")
    return tuple(values)


def _counts(document: dict[str, Any], path: Path) -> dict[str, int]:
    values = document.get("left_out", {})
    if not isinstance(values, dict) or not all(type(count) is int for count in values.values()):
        raise DataError(f"{path} is damaged: its field 'left_out' has no numbers; make it again from the images")
    return values


def _labels(document: dict[str, Any], path: Path) -> np.ndarray:
    values = document.get("labels")
    # `type`, not `isinstance`: JSON's `true` is an `int` to Python, and would be class 1.
    if not isinstance(values, list) or not all(type(value) is int and abs(value) < 2**31 for value in values):
        raise DataError(f"{path} is damaged: its field 'labels' is no list of whole numbers; make it again")
    return np.array(values, dtype=np.int64)
