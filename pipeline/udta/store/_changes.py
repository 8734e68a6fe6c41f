"""How the images that are asked for differ from those of a store, so that nothing is lost without being said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from udta.fingerprint import UNREADABLE
from udta.store._record import Record

_NAMED = 3  # ids in a message; a disk that is not mounted would list all


@dataclass(frozen=True)
class Changes:
    """`removed` names the rows whose features would be lost, out of `stored` rows; the others are numbers of rows.

    A row is `renamed` where its image has another path now, `changed` where its path has another content. An image that cannot be
    read now is `removed`, one that was skipped has no features to lose.
    """

    stored: int
    removed: tuple[str, ...] = ()
    renamed: int = 0
    changed: int = 0
    new: int = 0

    def refusal(self) -> list[str]:
        """Why this is not done unasked; empty where nothing is lost."""
        if not self.removed:
            return []
        names = ", ".join([*self.removed[:_NAMED], *(["..."] if len(self.removed) > _NAMED else [])])
        return [
            f"removes {len(self.removed):,} of {self.stored:,} rows, whose images are not among those asked for or cannot be "
            f"read ({names}): mount the disk or restore the folder that they are in, or give --prune (prune: true, prune=True) "
            "to remove their features"
        ]

    def __str__(self) -> str:
        counts = {
            "new": self.new,
            "with another content": self.changed,
            "renamed": self.renamed,
            "removed": len(self.removed),
        }
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def changes(stored: Sequence[str], records: Mapping[int, Record], samples: Sequence[tuple[str, str]]) -> Changes:
    """Compare the rows of a store with (id, content hash) of every row that is asked for.

    One image that is gone and another path with its content are a renaming, each counted once: of two equal images one that
    is gone is removed.

    Args:
        stored: id of every row.
        records: of the committed blocks; what an uncommitted row holds is not known.
        samples: what is asked.
    """
    contents = {name: content for record in records.values() for name, content in record.samples}
    skipped = {record.samples[row - record.start][0] for record in records.values() for row in record.skipped}
    asked, known = dict(samples), set(stored)
    # Counted, not looked up: of two copies that went, one new path with their content renames one and leaves one removed.
    came = Counter(content for name, content in samples if name not in known)
    removed, renamed, changed = [], 0, 0
    for name in stored:
        # UNREADABLE stands for a file that cannot be read now and for a row that was never committed: neither equals anything.
        content, now = contents.get(name, UNREADABLE), asked.get(name, UNREADABLE)
        if name in skipped or now == content != UNREADABLE:
            continue
        if now != UNREADABLE:
            changed += content != UNREADABLE
        elif content != UNREADABLE and came[content] > 0:
            came[content] -= 1
            renamed += 1
        elif name not in asked or content != UNREADABLE:
            removed.append(name)
    return Changes(len(stored), tuple(removed), renamed, changed, sum(came.values()))
