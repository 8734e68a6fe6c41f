"""What a reader of images is, and what it gives: names, class names and splits in row order, before contents are hashed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Listing:
    """One entry for each image: its id relative to `root`, its class name ('' where unknown), its split if it has one.

    `split_rule` says where given splits come from; `left_out` counts files that are no images, by extension and reason; `notes`
    are sentences for the user.
    """

    root: Path
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...] | None = None
    split_rule: str = "column"
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def unlabelled(
        cls, root: Path, ids: Iterable[str], left_out: Mapping[str, int] | None = None, notes: tuple[str, ...] = ()
    ) -> Listing:
        """Images of which no class is known."""
        names = tuple(ids)
        return cls(root, names, ("",) * len(names), left_out=left_out or {}, notes=notes)


class Reader(ABC):
    """One form that IMAGES may have. A new one is a file in `readers/` and a line in its registry.

    `takes` is that form in the words of an error. `by_name` tells a name of something from a path: a list of paths may hold no
    names. `has_classes` is False where images are named for prediction alone.
    """

    takes: ClassVar[str]
    by_name: ClassVar[bool] = False
    has_classes: ClassVar[bool] = True

    @abstractmethod
    def accepts(self, images: str) -> bool:
        """Whether what a user named has this form, which is seen without opening it."""

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
        return self.read(images, missing=missing)


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
