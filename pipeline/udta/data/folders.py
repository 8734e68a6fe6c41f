"""Folders of images, with a sub-folder per class or flat."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from udta.data.listing import Listing, is_image_name
from udta.data.manifest import first_few
from udta.errors import DataError


def list_folder(root: Path) -> Listing:
    """The images under `root`, sorted by class and then by path; deeper folders belong to the top one.

    Names that start with a dot and files without an image extension are left out. A folder whose images lie directly in it has
    no classes.

    Raises:
        DataError: no images, a class without any, images both beside and inside of class folders, or an unreadable folder.
    """
    try:
        entries = sorted(_visible(root), key=lambda entry: entry.name)
        by_class = {entry.name: list(_images(Path(entry.path))) for entry in entries if entry.is_dir()}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror})") from error
    loose = [entry.name for entry in entries if not entry.is_dir() and is_image_name(entry.name)]
    filled = [name for name, images in by_class.items() if images]
    if loose and filled:
        raise DataError(
            f"{root} has images beside its class folders ({first_few(loose)}); move them into a class folder"
        )
    if loose:
        return Listing(root, tuple(loose), ("",) * len(loose))
    if len(filled) < len(by_class):
        empty = [name for name in by_class if name not in filled]
        raise DataError(
            f"{root} has {len(empty)} class folder(s) without any image: {first_few(empty)}; fill or remove them"
        )
    if not filled:
        raise DataError(f"{root} has no images: it needs a sub-folder of images per class, or images to predict")
    ids = {name: sorted(image.relative_to(root).as_posix() for image in by_class[name]) for name in filled}
    return Listing(
        root,
        tuple(image for name in filled for image in ids[name]),
        tuple(name for name in filled for _ in ids[name]),
    )


def _images(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every image at any depth; links to folders are followed."""
    real = folder.resolve()
    if real in above:
        raise DataError(f"{folder} links back to a folder that it is in: remove the link")
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _images(Path(entry.path), (*above, real))
        elif is_image_name(entry.name):
            yield Path(entry.path)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]
