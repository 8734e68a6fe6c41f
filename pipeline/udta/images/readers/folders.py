"""Folders of images: with a sub-folder per class, with one per split and the classes below, or flat."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from udta._console.terminal import first_few
from udta._files.names import UNLABELLED, class_order
from udta.errors import DataError
from udta.images._formats import is_ignored, why_no_image
from udta.images._listing import LeftOut, Listing, Reader
from udta.images._manifest import describe_counts

# Folders of these names, and of no others, with class folders in them are the split.
SPLIT_FOLDERS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SPLIT_ORDER = ("train", "val", "test")

# What a folder that udta wrote has in it; see `_is_ours`.
_MARKS = frozenset(("ledger", "zarr.json", "index.h5", "adapter.safetensors"))


class Folders(Reader):
    """Folders with a sub-folder per class, with one per split and the classes below, or flat."""

    takes = "a folder"

    def accepts(self, images: str) -> bool:
        """A link to a folder is one."""
        return Path(images).is_dir()

    def read(self, images: str, *, missing: bool) -> Listing:
        """The images below a folder, sorted by class and then by path; deeper folders belong to the top one.

        A folder whose images lie directly in it has no classes. Where all top folders are called train, val, test (or alike) and
        hold class folders, they are the split, in this order. What is no image, hidden, of the system, or written by udta is left
        out and counted.

        Args:
            images: the folder.
            missing: makes no difference: what is not in a folder is not missing.

        Raises:
            DataError: no images, a class without any, images both beside and inside of class folders, or an unreadable folder.
        """
        root = Path(images)
        walk = _Walk(root)
        by_top: dict[str, list[str]] = {}
        # Every name once, and sorted below: what `scandir` gives first depends on the file system.
        for name in walk.files():
            by_top.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
        loose = sorted(by_top.pop("", []))
        left_out = walk.left_out.counts
        if loose and by_top:
            raise DataError(
                f"{root} has images beside its class folders ({first_few(loose)}); move them into a class folder"
            )
        if loose:
            return Listing.unlabelled(root, loose, left_out)
        if not by_top:
            raise DataError(
                f"{root} has no images: it needs a sub-folder of images per class, or images to predict{_but(left_out)}"
            )
        if _is_split(by_top):
            return _by_split(root, by_top, left_out)
        # A folder in which a store or a run was written is no class that lost its images.
        empty = sorted(walk.tops - by_top.keys() - walk.ours)
        if empty:
            raise DataError(
                f"{root} has {len(empty)} class folder(s) without any image: {first_few(empty)}; fill or remove them"
                + _but(left_out)
            )
        return _by_class(root, by_top, left_out)

    def read_unlabelled(self, images: str, *, missing: bool) -> Listing:
        """All images at any depth, sorted, whatever the folders mean. Raises `DataError` where there are none."""
        walk = _Walk(Path(images))
        ids = sorted(walk.files())
        if not ids:
            raise DataError(f"{images} has no images")
        return Listing.unlabelled(Path(images), ids, walk.left_out.counts)


def _by_class(root: Path, by_top: Mapping[str, Sequence[str]], left_out: Mapping[str, int]) -> Listing:
    ids = {name: sorted(by_top[name]) for name in class_order(by_top)}
    # A lone `train` is a class too, but then there is nothing that it could be mistaken beside.
    among = sorted(name for name in ids if name.lower() in SPLIT_FOLDERS) if len(ids) > 1 else []
    notes = (f"{first_few(among)} beside other class folders: taken as a class, not as a split",) if among else ()
    return Listing(
        root,
        tuple(name for names in ids.values() for name in names),
        tuple(label for label, names in ids.items() for _ in names),
        left_out=left_out,
        notes=notes,
    )


def _is_split(by_top: Mapping[str, Sequence[str]]) -> bool:
    """Whether the top folders are a split: their names say so, and there are class folders in one of them."""
    # A flat `train/` and `test/` without class folders are two classes: nothing says what else the classes would be.
    named = all(name.lower() in SPLIT_FOLDERS for name in by_top)
    return named and any(name.count("/") > 1 for names in by_top.values() for name in names)


def _by_split(root: Path, by_top: Mapping[str, Sequence[str]], left_out: Mapping[str, int]) -> Listing:
    """Ids stay relative to `root`; images without a class folder, as of a test set whose classes are secret, are unlabelled."""
    rows: list[tuple[str, str, str]] = []
    for top, names in by_top.items():
        deep = [name for name in names if name.count("/") > 1]
        flat = [name for name in names if name.count("/") == 1]
        if deep and flat:
            raise DataError(
                f"{root / top} has images beside its class folders ({first_few(sorted(flat))}); move them into a class folder"
            )
        split = SPLIT_FOLDERS[top.lower()]
        rows += [(split, name.split("/")[1], name) for name in deep] + [(UNLABELLED, "", name) for name in flat]
    number = {name: index for index, name in enumerate(class_order([label for _, label, _ in rows if label]))}
    order = {split: index for index, split in enumerate((*_SPLIT_ORDER, UNLABELLED))}
    rows.sort(key=lambda row: (order[row[0]], number.get(row[1], -1), row[2]))
    tops = "/".join(sorted(by_top, key=lambda top: (order[SPLIT_FOLDERS[top.lower()]], top)))
    return Listing(
        root,
        ids=tuple(name for _, _, name in rows),
        labels=tuple(label for _, label, _ in rows),
        splits=tuple(split for split, _, _ in rows),
        split_rule=f"folders {tops}",
        left_out=left_out,
        notes=(f"the folders {tops} are taken as the split, the folders in them as the classes",),
    )


class _Walk:
    """Every image below a folder as a path relative to it, in no order; links to folders are followed.

    `tops` are the folders directly in it, `ours` those in which something lies that udta wrote.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.left_out = LeftOut()
        self.tops: set[str] = set()
        self.ours: set[str] = set()

    def files(self) -> Iterator[str]:
        """The images. Raises `DataError`: a folder that cannot be read, or links back to one that it is in."""
        try:
            yield from self._below(self._root, "", ())
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read ({error.strerror})") from error

    def _below(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
        # A link back makes an endless walk; one to a folder elsewhere, even if seen before, is a way to share images.
        real = os.path.realpath(folder)
        if real in above:
            raise DataError(f"{folder} links back to a folder that it is in: remove the link")
        # Read to its end before going deeper: one descriptor at a time, however deep the folders are.
        with os.scandir(folder) as found:
            entries = list(found)
        # Looked into, a store among the images blocked its own resume: it was a class folder without images.
        if prefix and _is_ours({entry.name for entry in entries if entry.name in _MARKS}):
            self.ours.add(prefix.partition("/")[0])
            self.left_out.add_folder(prefix.rstrip("/"), "written by udta")
            return
        for entry in entries:
            name = entry.name
            if not _is_folder(entry):
                reason = why_no_image(name, entry.path)
                if reason:
                    self.left_out.add(name, reason)
                else:
                    yield prefix + name
            elif is_ignored(name):
                self.left_out.add_folder(name, "hidden or of the system")
            else:
                if not prefix:
                    self.tops.add(name)
                yield from self._below(entry.path, f"{prefix}{name}/", (*above, real))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link that goes in a circle or to where we may not look is a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_ours(marks: set[str]) -> bool:
    """Whether a folder that has these of `_MARKS` is a store (of Zarr or HDF5) or a trained adapter."""
    return "adapter.safetensors" in marks or ("ledger" in marks and len(marks) > 1)


def _but(left_out: Mapping[str, int]) -> str:
    """What there is instead of images."""
    return f"; left out: {describe_counts(left_out)}" if left_out else ""
