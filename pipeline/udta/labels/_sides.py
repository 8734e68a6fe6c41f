"""Which rows are for training, where nobody has said so: images that had no class when they were extracted.

Nothing but the content of an image decides. So it is on the same side for every task, whatever labels and other images come and
go, copies of it are on its side, and nothing is tested on what another task's adapter of the same images was chosen by.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from udta._files.names import UNLABELLED
from udta.store import Store

TRAIN, TEST = "train", "test"
_TRAIN_SHARE = 0.7  # as `udta extract` has it where it knows the classes
RULE = "70/30 by content"


def sided(store: Store, labelled: Bool[np.ndarray, " rows"]) -> list[str] | None:
    """The split of every row, with a side for those that are `labelled` and in none; None where there are no such."""
    rows = np.flatnonzero(labelled & (store.splits == UNLABELLED)).tolist()
    if not rows:
        return None
    ids, splits = store.ids.tolist(), list[str](store.splits.tolist())
    for row in rows:
        # An image without features has no hash, and is neither trained nor tested on.
        content = store.hashes.get(ids[row], "")
        # SHA-256 is as good as random: its first 32 bits are a number that is uniform in [0, 1).
        splits[row] = TRAIN if int(content[:8] or "0", 16) < _TRAIN_SHARE * 2**32 else TEST
    return splits
