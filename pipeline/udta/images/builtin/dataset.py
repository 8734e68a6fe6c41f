"""What all built-in datasets share: where their files are, which archive has each, and the order of the rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from udta._console.terminal import first_few
from udta.errors import DataError
from udta.images._listing import Listing

# The order of rows in a store: changing it would make every stored set another one.
SPLITS = ("train", "val", "test")


class Entry(NamedTuple):
    """One image as the annotations give it; `path` is relative to the folder that they are in."""

    path: str
    label: str
    split: str


@dataclass(frozen=True)
class Archive:
    """One download, and the files and folders that are read from it. A `.mat` is used as it is downloaded."""

    name: str
    holds: tuple[str, ...]

    def remedy(self, missing: Iterable[str], target: Path) -> str:
        """What to do about files of it that are missing."""
        if self.name.endswith(".mat"):
            return f"put {self.name} into {target}"
        return f"unpack {self.name} into {target}: there is no {', '.join(missing)}"


@dataclass(frozen=True)
class Builtin:
    """A dataset, its archives, and `read`, which yields its images from the folder that has the content of all of them.

    That folder is the root that the user names, or `folder` in it, where torchvision puts the files; `folder_is_packed` where
    the archive itself makes it.
    """

    name: str
    title: str
    archives: tuple[Archive, ...]
    read: Callable[[Path], Iterable[Entry]]
    folder: str = ""
    folder_is_packed: bool = False

    def list_images(self, root: Path) -> Listing:
        """All images, ids relative to `root`: `train`, `val` and `test` in turn, each in the order of its list.

        Raises:
            DataError: files that are missing, with the archive to unpack and where, or annotations that are damaged.
            ConfigError: scipy is needed to read them and not installed.
        """
        base = self._find(root)
        # Sorting keeps the order within a split. `read` is lazy: what it raises, it raises here.
        try:
            entries = sorted(self.read(base), key=lambda entry: SPLITS.index(entry.split))
        except (LookupError, TypeError, ValueError) as error:  # a line cut short, a number that no other file knows
            raise DataError(
                f"{base}: the annotations of {self.title} are damaged or not of one version ({error!r}); "
                f"get {_names(self.archives)} again"
            ) from error
        self._check(base, entries)
        # Relative to what the user has named, so that `--splits` files and predictions have paths that he can open.
        prefix = "" if base == root else f"{self.folder}/"
        return Listing(
            root=root,
            ids=tuple(prefix + entry.path for entry in entries),
            labels=tuple(entry.label for entry in entries),
            splits=tuple(entry.split for entry in entries),
            split_rule=f"official, {self.title}",
        )

    def _find(self, root: Path) -> Path:
        """The folder with the files: whichever of `root` and `folder` in it lacks less."""
        if not root.is_dir():
            raise DataError(f"there is no folder {root}; make it and get {_names(self.archives)} of {self.title} there")
        # Two ways to unpack are both right, and torchvision's downloader makes `folder`; half of a set is told of where it is.
        lacking = {base: self._lacking(base) for base in (root, root / self.folder)}
        base = min(lacking, key=lambda base: len(lacking[base]))
        if lacking[base]:
            # An archive that brings its folder along has to be unpacked beside it, not into it.
            target = base.parent if self.folder_is_packed and base.name == self.folder else base
            remedies = [
                archive.remedy(missing, target)
                for archive in self.archives
                if (missing := [name for name in archive.holds if name in lacking[base]])
            ]
            raise DataError("\n".join([f"{self.name}: {base} does not have all of {self.title}", *remedies]))
        return base

    def _lacking(self, base: Path) -> list[str]:
        return [name for archive in self.archives for name in archive.holds if not (base / name).exists()]

    def _check(self, base: Path, entries: list[Entry]) -> None:
        """Refuse a set that lists no images, or some that are not there: an archive that was unpacked in part."""
        if not entries:
            raise DataError(
                f"{base}: the annotations of {self.title} list no images; get {_names(self.archives)} again"
            )
        # strings: with `Path` objects, the 101,000 images of Food-101 take 8 s instead of 2
        absent = [entry.path for entry in entries if not os.path.isfile(f"{base}/{entry.path}")]  # noqa: PTH113
        # Whichever archives are concerned: Stanford Cars has its images in two.
        if absent:
            owners = [
                archive
                for archive in self.archives
                if any(path.startswith(f"{folder}/") for path in absent for folder in archive.holds)
            ]
            raise DataError(
                f"{base}: {len(absent)} of the {len(entries):,} images of {self.title} are missing: {first_few(absent)}; "
                f"unpack {_names(owners)} again"
            )


def _names(archives: Iterable[Archive]) -> str:
    return ", ".join(archive.name for archive in archives)
