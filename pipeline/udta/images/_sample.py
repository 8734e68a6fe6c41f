"""One image of a manifest: its bytes, as they were when images were listed, or why there are none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from udta.errors import DataError, ImageError
from udta.fingerprint import UNREADABLE
from udta.images._contents import Contents


@dataclass(frozen=True)
class Sample:
    """Row `row` of `contents`. `id` is its path relative to the manifest's root, `label` the class index or -1 where unknown."""

    row: int
    id: str
    contents: Contents
    sha256: str
    label: int
    split: str

    def read(self) -> bytes:
        """The encoded image, as it was when the manifest was made.

        Raises:
            ImageError: it cannot be read, or could not then.
            DataError: its content has changed.
        """
        # Read first: where it still cannot be read, why is the better message.
        content = self.contents.read(self.row, self.id)
        if self.sha256 == UNREADABLE:
            raise ImageError(
                self.id, "could not be read when the images were listed, but now; run the same command again"
            )
        # Of the bytes that are decoded, each time: a photograph that was changed in between would give features under the
        # identity of the old one, and no later run could tell.
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(
                f"{self.id} of {self.contents.source} changed after the manifest was made; run the same command again to use "
                "its new content"
            )
        return content
