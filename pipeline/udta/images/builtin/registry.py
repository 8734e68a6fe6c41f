"""The built-in datasets by name."""

from __future__ import annotations

import os
from pathlib import Path

from udta.errors import ConfigError, did_you_mean
from udta.images._listing import Listing
from udta.images.builtin import aircraft, cars, cub200, dogs, flowers102, food101, pets
from udta.images.builtin.dataset import Builtin

BUILTIN: dict[str, Builtin] = {
    module.DATASET.name: module.DATASET for module in (aircraft, cars, cub200, dogs, flowers102, food101, pets)
}


def list_builtin(spec: str) -> Listing:
    """The images of `name:folder`; `~` is the home folder, which no shell expands after a colon.

    Raises:
        ConfigError: an unknown name, no folder, or scipy is needed and not installed.
        DataError: files that are missing, with the archive that has them, or are damaged.
    """
    name, _, folder = spec.partition(":")
    if name not in BUILTIN:
        raise ConfigError(
            f"there is no folder or file {spec!r}, and no built-in dataset {name!r}: {did_you_mean(name, BUILTIN)}"
        )
    if not folder:
        raise ConfigError(f"{spec!r} names no folder: write {name}:FOLDER, where its archives are unpacked")
    return BUILTIN[name].list_images(Path(os.path.expanduser(folder)))  # noqa: PTH111  # Path's raises where there is no such user
