"""Text files of paths, one a line: what `find` and `ls` write, without classes."""

from __future__ import annotations

from pathlib import Path

from udta.errors import DataError
from udta.images._listing import Listing, Reader
from udta.images.readers.image_tables import ids_of_paths


class TextLists(Reader):
    """`.txt` files; other lines than paths there are none, so no classes either."""

    takes = "a .txt file of paths"

    def accepts(self, images: str) -> bool:
        """By its name, whether it is there or not: one that is missing is no image that is missing."""
        path = Path(images)
        return path.suffix.lower() == ".txt" and not path.is_dir()

    def read(self, images: str, *, missing: bool) -> Listing:
        """The images that it names, each once; paths are relative to the folder that the list is in.

        Args:
            images: path of the list, UTF-8; empty lines are passed over.
            missing: keep paths of files that are not there, as long as one is: they become images that cannot be read.

        Raises:
            DataError: no text in UTF-8, no lines, files that do not exist or are no images.
        """
        path = Path(images)
        try:
            text = path.read_text("utf-8-sig")  # with the mark that editors of Windows write before the first line
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is no list of paths in UTF-8 ({error})") from error
        names = [line.strip() for line in text.splitlines() if line.strip()]
        if not names:
            raise DataError(f"{path} names no image")
        return Listing.unlabelled(path.parent, dict.fromkeys(ids_of_paths(path, names, missing=missing)))
