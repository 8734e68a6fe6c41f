"""Whose labels they are: rows of a store for the ids in a file, and what is left on either side."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from udta._console.terminal import first_few
from udta._files.names import other_spellings
from udta.errors import ConfigError
from udta.store import Store

_NAMED = 5  # of thousands: enough to see what they have in common
_MOST_COMPARED = 2_000  # difflib takes 20 us for each


@dataclass(frozen=True)
class Matching:
    """Rows of the store for the ids of a file.

    `rows` are int64 in the order of the file, -1 for an id that the store does not have; `unknown` are those ids, and `missing`
    the ids of the store that the file does not have.
    """

    rows: Int64[np.ndarray, " labels"]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """How many they are, and the first of them."""
        return {
            name: {"count": len(ids), "ids": list(ids[:_NAMED])}
            for name, ids in (("missing", self.missing), ("unknown", self.unknown))
        }

    def notes(self, where: str, store: str) -> list[str]:
        """The same in sentences."""
        found = []
        if self.missing:
            found.append(
                f"{where}: {len(self.missing)} image(s) of {store} are not in it, and have no label: {first_few(self.missing, 3)}"
            )
        if self.unknown:
            found.append(
                f"{where}: {len(self.unknown)} of its image(s) are not in {store} and passed over: {first_few(self.unknown, 3)}"
            )
        return found


def match(where: str, names: Sequence[str], store: Store) -> Matching:
    """Find the rows; an id that is not there as it stands is looked for as other systems would write it.

    Raises:
        ConfigError: not one of the ids is in the store.
    """
    ids = store.ids.tolist()
    index = {name: row for row, name in enumerate(ids)}
    root = f"{store.source.get('images', '')}/"
    rows = np.array([index[name] if name in index else _other_row(name, index, root) for name in names], dtype=np.int64)
    unknown = [names[place] for place in np.flatnonzero(rows < 0).tolist()]
    if len(unknown) == len(names):
        raise ConfigError(f"{where}: none of its {len(names)} image(s) is in {store.path}{_nearest(unknown, ids)}")
    labelled = np.zeros(len(ids), dtype=bool)
    labelled[rows[rows >= 0]] = True
    missing = [ids[row] for row in np.flatnonzero(~labelled).tolist()]
    return Matching(rows, tuple(dict.fromkeys(unknown)), tuple(missing))


def contradictions(
    rows: Int64[np.ndarray, " labels"], *columns: Shaped[np.ndarray, "labels ..."]
) -> Int64[np.ndarray, " twice"]:
    """Places of labels that differ from those of an earlier place of the same row."""
    _, first, image = np.unique(rows, return_index=True, return_inverse=True)
    earlier = first[image.reshape(-1)]
    differs = np.zeros(len(rows), dtype=bool)
    for values in columns:
        differs |= (values != values[earlier]).reshape(len(rows), -1).any(axis=1)
    return np.flatnonzero(differs)


def _other_row(name: str, index: dict[str, int], root: str) -> int:
    """The row of an id that is written otherwise: with `./`, below the folder of the images, or as Windows and macOS do."""
    for spelling in (name, *other_spellings(name)):
        plain = posixpath.normpath(spelling)
        for found in (plain, plain.removeprefix(root)):
            if found in index:
                return index[found]
    return -1


def _nearest(unknown: Sequence[str], ids: Sequence[str]) -> str:
    """The end of a sentence: what the first of them may have been meant for."""
    if not unknown:
        return ""
    name = unknown[0]
    file = name.replace("\\", "/").rpartition("/")[2]
    # The same file in another folder is the usual case: a path that is relative to something else.
    near = [other for other in ids if other.rpartition("/")[2] == file][:1]
    near = near or difflib.get_close_matches(name, ids[:_MOST_COMPARED], n=1, cutoff=0.5) or [*ids[:1]]
    return f": {name!r} is not, and the nearest there is {near[0]!r}; paths are relative to the folder of the images"
