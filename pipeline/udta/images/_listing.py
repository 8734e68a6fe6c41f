"""What a reader of images is, and what it gives: names, class names and splits in row order, before contents are hashed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from udta._files.names import path_problem
from udta.images._contents import Contents, Files


@dataclass(frozen=True)
class Listing:
    """One entry for each image: its id relative to `root`, its class name ('' where unknown), its split if it has one.

    `split_rule` says where given splits come from; `left_out` counts files that are no images, by extension and reason; `notes`
    are sentences for the user. `packed` has the images where they are no files of their own: nothing opens an id as a path then.
    """

    root: Path
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...] | None = None
    split_rule: str = "column"
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    packed: Contents | None = None

    @classmethod
    def unlabelled(
        cls, root: Path, ids: Iterable[str], left_out: Mapping[str, int] | None = None, packed: Contents | None = None
    ) -> Listing:
        """Images of which no class is known."""
        names = tuple(ids)
        return cls(root, names, ("",) * len(names), left_out=left_out or {}, packed=packed)

    @property
    def contents(self) -> Contents:
        """The encoded image of every row."""
        return self.packed or Files(self.root)

    def without_classes(self) -> Listing:
        """The same images, of which no class and no split is known."""
        return replace(self, labels=("",) * len(self.ids), splits=None)


class Reader(ABC):
    """One form that IMAGES may have. A new one is a file in `readers/` and a line in its registry.

    `takes` is that form in the words of an error. `by_name` tells a name of something from a path: a list of paths may hold no
    names. `packs` where the images lie in archives or tables and are no files of their own.
    """

    takes: ClassVar[str]
    by_name: ClassVar[bool] = False
    packs: ClassVar[bool] = False

    @abstractmethod
    def accepts(self, images: str) -> bool:
        """Whether what a user named has this form, which is seen without opening it."""

    def is_there(self, images: str) -> bool:
        """Whether what has this form is there; a reader of names or patterns says yes, and itself what is missing."""
        return self.by_name or os.path.exists(images)  # noqa: PTH110  # as every other path here

    @abstractmethod
    def read(self, images: str, *, missing: bool) -> Listing:
        """The images with their classes, and with splits where they have some.

        Args:
            images: what `accepts` has said yes to.
            missing: keep images whose file is not there, as long as one is: they become images that cannot be read.

        Raises:
            DataError: there are no images, or they are named in a way that contradicts itself.
            ConfigError: a package that reads the form is not installed.
        """

    def read_unlabelled(self, images: str, *, missing: bool) -> Listing:
        """The images alone, for prediction, whatever folders or columns would mean. Arguments and errors are those of `read`."""
        return self.read(images, missing=missing).without_classes()


class LeftOut:
    """Counts what is left out of a listing."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str, reason: str) -> None:
        """One more file; a name without an extension is counted by itself."""
        self._counts[f"{os.path.splitext(name)[1].lower() or name} ({reason})"] += 1  # noqa: PTH122  # of many names

    def add_folder(self, name: str, reason: str) -> None:
        """One more folder, which is not looked into."""
        self._counts[f"{name}/ ({reason})"] += 1

    @property
    def counts(self) -> dict[str, int]:
        """Files and folders by extension or name and reason, the most frequent first."""
        return dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))


def relative_id(root: Path, path: str) -> str:
    """The one spelling of a path that is absolute or relative to `root`: relative, `/` between parts, no `.`."""
    # Not `resolve`: a link to an image would become an id outside of the folder, and another one where the link is changed.
    return Path(os.path.relpath(root / path, root)).as_posix()


def packed_id(name: str) -> str:
    """The id of an image that an archive or a table calls so: whatever stands there, a relative path, as stores ask for."""
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def packed_ids(n: int, *candidates: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of `n` images, and what to say of them: the first of `candidates` that names all of them differently, else numbers."""
    for names in candidates:
        ids = tuple(map(packed_id, names))
        if len(set(ids)) == n and not path_problem(ids):
            return ids, ()
    # Of one width, so that their order is that of the rows.
    return tuple(f"{row:07d}" for row in range(n)), (
        "images are called by their rows: no column `path` names each of them",
    )
