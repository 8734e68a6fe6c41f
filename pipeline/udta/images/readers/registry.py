"""The readers, in the order in which they are asked, and who takes what a user named."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from udta.errors import DataError
from udta.images._listing import Reader

# Paths instead of imports, so that a reader is one line here. The first that accepts reads: what is a folder on the disk is never
# taken for a dataset's name, and `pets:photos.csv` never for a table.
_CLASSES = (
    "folders:Folders",
    "dataset_names:DatasetNames",
    "image_tables:ImageTables",
    "text_lists:TextLists",
)

READERS: list[Reader] = [resolve_name(f"{__package__}.{path}")() for path in _CLASSES]


def find_reader(images: str) -> Reader | None:
    """The reader of what a user named; None where it is nothing that a reader takes, a single image for one."""
    return next((reader for reader in READERS if reader.accepts(images)), None)


def refusal(images: str) -> DataError:
    """What to say where images with classes were wanted and `images` is nothing that names some."""
    # Names of datasets last: after "give a folder or a .csv or ..." they are what a stranger needs least.
    readers = sorted((reader for reader in READERS if reader.has_classes), key=lambda reader: reader.by_name)
    takes = [reader.takes for reader in readers]
    if Path(images).exists():
        return DataError(f"{Path(images)} is neither {' nor '.join(takes)} (single images are for `udta predict`)")
    return DataError(f"there is no folder or file {images!r}; give {' or '.join(takes)}")
