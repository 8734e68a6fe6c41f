"""The readers, in the order in which they are asked, and who takes what a user named."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from udta.errors import DataError
from udta.images._listing import Reader

# Paths instead of imports, so that a reader is one line here. The first that accepts reads: what is a folder on the disk is never
# taken for a dataset's name, and `pets:photos.csv` never for a table. A folder of archives is no folder of images.
_CLASSES = (
    "webdataset:WebDataset",
    "hf_datasets:SavedDatasets",
    "hf_datasets:HubDatasets",
    "parquet_images:ParquetImages",
    "folders:Folders",
    "dataset_names:DatasetNames",
    "image_tables:ImageTables",
    "text_lists:TextLists",
)

READERS: list[Reader] = [resolve_name(f"{__package__}.{path}")() for path in _CLASSES]


def find_reader(images: str, *, by_name: bool = True) -> Reader | None:
    """The reader of what a user named; None where it is nothing that a reader takes, a single image for one.

    Args:
        images: what was named.
        by_name: whether it may be a name, such as that of a dataset, besides a path.
    """
    readers = (reader for reader in READERS if by_name or not reader.by_name)
    return next((reader for reader in readers if reader.accepts(images)), None)


def refusal(images: str) -> DataError:
    """What to say where images with classes were wanted and `images` is nothing that names some."""
    # What most people have comes first.
    paths = [reader.takes for reader in sorted(READERS, key=lambda reader: reader.packs) if not reader.by_name]
    names = [reader.takes for reader in READERS if reader.by_name]
    if Path(images).exists():
        return DataError(f"{Path(images)} is neither {' nor '.join(paths)} (single images are for `udta predict`)")
    return DataError(f"there is no folder or file {images!r}; give {' or '.join([*paths, *names])}")
