"""`name:folder`: a built-in dataset, and where its archives are unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from udta.errors import ConfigError, did_you_mean
from udta.images._listing import Listing, Reader
from udta.images.builtin import BUILTIN


class DatasetNames(Reader):
    """Anything with a colon that is not there on the disk."""

    takes = f"name:folder of a built-in dataset ({', '.join(BUILTIN)})"
    by_name = True

    def accepts(self, images: str) -> bool:
        """A path may have a colon too: what is there is a path."""
        return ":" in images and not Path(images).exists()

    def read(self, images: str, *, missing: bool) -> Listing:
        """The images of the dataset with their classes and official split.

        Args:
            images: `name:folder`; `~` is the home folder, which no shell expands after a colon.
            missing: makes no difference: a set is whole or was unpacked in part.

        Raises:
            ConfigError: an unknown name, no folder, or scipy is needed and not installed.
            DataError: files that are missing, with the archive that has them, or are damaged.
        """
        name, _, folder = images.partition(":")
        if name not in BUILTIN:
            raise ConfigError(
                f"there is no folder or file {images!r}, and no built-in dataset {name!r}: {did_you_mean(name, BUILTIN)}"
            )
        if not folder:
            raise ConfigError(f"{images!r} names no folder: write {name}:FOLDER, where its archives are unpacked")
        # `Path.expanduser` raises where there is no such user; this leaves `~name`, and the folder is said to be missing.
        return BUILTIN[name].list_images(Path(os.path.expanduser(folder)))  # noqa: PTH111
