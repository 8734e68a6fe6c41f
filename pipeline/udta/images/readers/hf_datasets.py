"""Datasets of the Hugging Face library `datasets`: a folder that `save_to_disk` wrote, or `hf-dataset:ORG/NAME` of a hub."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udta._console.terminal import first_few
from udta._files.table_file import texts
from udta.errors import ConfigError, DataError
from udta.images._listing import Listing, Reader, packed_ids
from udta.images.readers._arrow_images import ArrowImages
from udta.images.readers.folders import SPLIT_FOLDERS
from udta.images.readers.image_tables import labels_and_splits

if TYPE_CHECKING:
    from datasets import Dataset

_PREFIX = "hf-dataset:"


class SavedDatasets(Reader):
    """What `save_to_disk` wrote."""

    takes = "a folder of datasets' save_to_disk"
    packs = True

    def accepts(self, images: str) -> bool:
        """By the files that it has written beside the data, of one dataset or of one for each split."""
        folder = Path(images)
        alone = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
        return alone or (folder / "dataset_dict.json").is_file()

    def read(self, images: str, *, missing: bool) -> Listing:
        """One image a row; several splits are the split, in the order of their names in the dataset.

        The image is the column of the type `Image`, or of structs with `bytes`, the class `label`, or the one of the type
        `ClassLabel`. An id is what the column `path` says, else the `path` of the image, where those tell every image from every
        other, else the row's number; of several splits it begins with the split.

        Args:
            images: the folder.
            missing: makes no difference: what is not in a dataset is not missing.

        Raises:
            DataError: it cannot be read, no or several columns have images, or it has no row.
            ConfigError: `datasets` is not installed.
        """
        library = _library(images)
        with _understood(images):
            return _listing(images, os.path.abspath(images), library.load_from_disk(images))  # noqa: PTH100


class HubDatasets(Reader):
    """`hf-dataset:ORG/NAME`, with `@REVISION` and `?config=NAME` where there are several."""

    takes = f"{_PREFIX}ORG/NAME"
    by_name = packs = True

    def accepts(self, images: str) -> bool:
        """What is there is a path."""
        return images.startswith(_PREFIX) and not os.path.exists(images)  # noqa: PTH110

    def read(self, images: str, *, missing: bool) -> Listing:
        """As of a saved one. It is downloaded once, into the library's cache, because this name asks for it; no code of it runs.

        Args:
            images: the name.
            missing: makes no difference.

        Raises:
            DataError: there is no such dataset, it cannot be downloaded, or as of a saved one.
            ConfigError: `datasets` is not installed, or the name is none.
        """
        name, _, config = images.removeprefix(_PREFIX).partition("?")
        repository, _, revision = name.partition("@")
        key, _, config = config.partition("=")
        if not repository or (key and (key != "config" or not config)):
            raise ConfigError(f"{images!r} is no name of a dataset: write {_PREFIX}ORG/NAME[@REVISION][?config=NAME]")
        library = _library(images)
        with _understood(images), _plain_lines(library):
            found = library.load_dataset(repository, config or None, revision=revision or None)
            return _listing(images, images, found, cache=str(library.config.HF_CACHE_HOME))


def _library(images: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"reading {images} needs datasets: pip install 'udta[datasets]'") from error
    return datasets


@contextmanager
def _understood(images: str) -> Iterator[None]:
    """What the library raises, as `DataError`."""
    from datasets.exceptions import DatasetsError

    try:
        yield
    # RuntimeError: it is a script, which is not run. The others are those of pyarrow, of the hub and of the network.
    except (DatasetsError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise DataError(f"{images} cannot be read as a dataset ({error})") from error


@contextmanager
def _plain_lines(library: Any) -> Iterator[None]:
    """Without a bar, where nobody sees one."""
    hidden = library.are_progress_bars_disabled()
    if not sys.stderr.isatty():
        library.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            library.enable_progress_bars()


def _listing(images: str, source: str, found: Any, cache: str = "") -> Listing:
    """Of a dataset, or a mapping with one for each split; `cache` is where files of it may lie."""
    splits: Mapping[str, Dataset] = dict(found) if isinstance(found, dict) else {"": found}
    if not any(map(len, splits.values())):
        raise DataError(f"{images} has no rows")
    column, *others = dict.fromkeys(_image_column(images, each) for each in splits.values())
    if others:
        raise DataError(f"{images}: in some of its splits images are {column!r}, in others {others[0]!r}")
    packed = ArrowImages(source, column, tuple(splits.values()), cache)
    several = len(splits) > 1
    ids: list[str] = []
    columns: dict[str, list[str]] = {"label": [], "split": []} if several else {"label": []}
    notes: dict[str, None] = {}
    for part, (split, dataset) in enumerate(splits.items()):
        paths = _texts(dataset, "path") if "path" in dataset.column_names else []
        own, said = packed_ids(len(dataset), paths, packed.paths(part))
        ids += [f"{split}/{name}" if several else name for name in own]
        notes |= dict.fromkeys(said)
        labels, said = _labels(dataset)
        columns["label"] += labels
        notes |= dict.fromkeys(said)
        if several:
            # Of a test set whose classes are secret, images are for nobody to test on.
            columns["split"] += [SPLIT_FOLDERS.get(split.lower(), split) if label else "" for label in labels]
    named = labels_and_splits(Path(images), columns, len(ids))
    rule = f"splits {'/'.join(splits)}" if several else "column"
    return Listing(Path(images), tuple(ids), *named, split_rule=rule, notes=tuple(notes), packed=packed)


def _image_column(images: str, dataset: Dataset) -> str:
    from datasets import Image

    def holds(kind: Any) -> bool:
        # Of a repository of plain Parquet files, nobody has said that the struct is an image.
        return isinstance(kind, Image) or (isinstance(kind, dict) and "bytes" in kind)

    found = [str(name) for name, kind in dataset.features.items() if holds(kind)]
    # Of an image and a mask, one is called so.
    usual = [name for name in found if name in ("image", "img")] if len(found) > 1 else found
    if len(usual) != 1:
        what = f"several columns of images, {first_few(found)}, and none is `image`" if found else "no column of images"
        raise DataError(f"{images} has {what}: it has the columns {first_few(dataset.column_names)}")
    return usual[0]


def _labels(dataset: Dataset) -> tuple[list[str], tuple[str, ...]]:
    """The class name of every row, '' where there is none, and what to say of it."""
    from datasets import ClassLabel

    kinds = {name: kind for name, kind in dataset.features.items() if isinstance(kind, ClassLabel)}
    named = ["label"] if "label" in dataset.column_names else list(kinds)
    if len(named) != 1:
        said = (
            (f"images are without a class: the columns {first_few(named)} have some, and none is `label`",)
            if named
            else ()
        )
        return [""] * len(dataset), said
    if named[0] not in kinds:
        return _texts(dataset, named[0]), ()
    # Below zero: of a test set whose classes are secret.
    values, names = _values(dataset, named[0]), kinds[named[0]].names
    return ["" if value is None or value < 0 else str(names[value]) for value in values], ()


def _texts(dataset: Dataset, column: str) -> list[str]:
    return texts(_values(dataset, column))


def _values(dataset: Dataset, column: str) -> list[Any]:
    return list(dataset.select_columns([column]).with_format(None)[:][column])
