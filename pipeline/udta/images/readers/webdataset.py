"""WebDataset shards: tar archives in which a sample is the members of one key, such as `bird/000.jpg` and `bird/000.cls`."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from udta._files.names import path_problem
from udta._files.paths import opened_regular
from udta.errors import DataError, ImageError
from udta.images._contents import Contents
from udta.images._formats import has_image_suffix, is_ignored
from udta.images._listing import LeftOut, Listing, Reader, packed_id
from udta.images.readers._open_files import OpenFiles
from udta.images.readers._shard_names import are_there, names_shards, shard_paths
from udta.images.readers._tar_members import Member, tar_members
from udta.images.readers.image_tables import labels_and_splits

_SUFFIX = ".tar"
# Of a sample's `.cls` or `.json`: a megabyte is a thousand captions.
_LARGEST_TEXT = 2**20


class WebDataset(Reader):
    """A `.tar`, a folder of them, `shard-{000..099}.tar` or a wildcard."""

    takes = "WebDataset shards (.tar)"
    packs = True

    def accepts(self, images: str) -> bool:
        """By the name; a folder holds archives, and neither images nor folders."""
        return names_shards(images, _SUFFIX)

    def is_there(self, images: str) -> bool:
        """A pattern is."""
        return are_there(images)

    def read(self, images: str, *, missing: bool) -> Listing:
        """One image for each key, in the order of the archives; its id is the name of its member.

        A key ends at the first dot of the file's name. Its image is the member with the extension of one, its class what the
        member `.cls` says, else `label` in `.json`, its split `split` in `.json`. A name that an earlier shard has too gets its
        shard's before it: `shard-001/000.jpg`.

        Args:
            images: a file, a folder or a pattern.
            missing: makes no difference: what is not in a shard is not missing.

        Raises:
            DataError: a shard is not there or damaged, a sample has two images or a text that cannot be read, there is no image.
        """
        paths, left_out = shard_paths(images, _SUFFIX), LeftOut()
        ids: dict[str, None] = {}
        labels: list[str] = []
        splits: list[str] = []
        shard, offset, size = array("q"), array("q"), array("q")
        for number, path in enumerate(paths):
            stem, own = os.path.basename(path)[: -len(_SUFFIX)], set[str]()  # noqa: PTH119
            for sample in _samples(path, left_out):
                name = packed_id(sample.image.name)
                if name in own:
                    raise DataError(f"{path} has two members {name!r}; make the archive again without one of them")
                own.add(name)
                # The later one alone, so that names stay as they are when shards are added.
                ids[f"{stem}/{name}" if name in ids else name] = None
                labels.append(sample.label)
                splits.append(sample.split)
                shard.append(number)
                offset.append(sample.image.offset)
                size.append(sample.image.size)
        if problem := path_problem(ids):
            raise DataError(f"{images}: {problem}")
        if not ids:
            raise DataError(f"{images} has no images: a sample of WebDataset has a member such as `000.jpg`")
        columns = {"label": labels, "split": splits} if any(splits) else {"label": labels}
        packed = TarImages(
            os.path.abspath(images),  # noqa: PTH100
            tuple(os.path.abspath(path) for path in paths),  # noqa: PTH100
            shard=np.array(shard, dtype=np.int64),
            offset=np.array(offset, dtype=np.int64),
            size=np.array(size, dtype=np.int64),
        )
        return Listing(
            Path(images),
            tuple(ids),
            *labels_and_splits(Path(images), columns, len(ids)),
            left_out=left_out.counts,
            packed=packed,
        )


@dataclass(frozen=True, eq=False)
class TarImages(Contents):
    """Members of archives: which of `shards`, and where in it, for each row. One file is open for each shard that is being read.

    `images` is what was named, from the root.
    """

    images: str
    shards: tuple[str, ...]
    shard: Int64[np.ndarray, " rows"]
    offset: Int64[np.ndarray, " rows"]
    size: Int64[np.ndarray, " rows"]
    _files: OpenFiles = field(default_factory=OpenFiles)

    @property
    def source(self) -> str:
        """What was named."""
        return self.images

    def read(self, row: int, name: str) -> bytes:
        """The bytes of the member, where its archive had it when it was listed."""
        path = self.shards[self.shard[row]]
        try:
            return self._files.read(path, int(self.offset[row]), int(self.size[row]))
        except OSError as error:
            raise ImageError(name, f"is in {path}, which cannot be read ({error.strerror})") from error
        except EOFError:
            raise ImageError(name, f"is in {path}, which is shorter than it was") from None


@dataclass(slots=True)
class _Sample:
    image: Member
    label: str = ""
    split: str = ""


def _samples(path: str, left_out: LeftOut) -> Iterator[_Sample]:
    """Those of one shard, whose members need not lie together."""
    images: dict[str, list[Member]] = {}
    texts: dict[str, tuple[str, str]] = {}
    try:
        with opened_regular(path) as file:
            for member in tar_members(file, path):
                key, extension = _key(member.name)
                if any(map(is_ignored, packed_id(member.name).split("/"))):
                    left_out.add(os.path.basename(member.name), "hidden or of the system")  # noqa: PTH119
                elif has_image_suffix(member.name):
                    images.setdefault(key, []).append(member)
                elif extension == "cls":
                    texts[key] = _text(file, path, member).strip(), texts.get(key, ("", ""))[1]
                elif extension == "json":
                    label, split = _described(file, path, member)
                    texts[key] = texts.get(key, ("", ""))[0] or label, split
                else:
                    left_out.add(member.name, "no image by its extension")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    for key, members in images.items():
        # `000.jpg` and a mask `000.seg.png` beside it: the image is the one whose extension is nothing more.
        plain = [member for member in members if "." not in _key(member.name)[1]] or members
        if len(plain) > 1:
            named = " and ".join(repr(member.name) for member in plain)
            raise DataError(f"{path}: its sample {key!r} has more than one image, {named}; a key ends at the first dot")
        yield _Sample(plain[0], *texts.get(key, ()))


def _key(name: str) -> tuple[str, str]:
    """Key and extension, as WebDataset parts them: at the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return f"{folder}{slash}{key}", extension.lower()


def _text(file: BufferedReader, path: str, member: Member) -> str:
    if member.size > _LARGEST_TEXT:
        raise DataError(f"{path}: its member {member.name!r} has {member.size:,} bytes, which is no label")
    try:
        return os.pread(file.fileno(), member.size, member.offset).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: its member {member.name!r} is no text in UTF-8 ({error})") from error


def _described(file: BufferedReader, path: str, member: Member) -> tuple[str, str]:
    """Label and split out of a sample's JSON; '' where it has none, or something else than a name or a number."""
    try:
        document: Any = json.loads(_text(file, path, member))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its member {member.name!r} is no JSON ({error})") from error
    found = (document.get(name) if isinstance(document, dict) else None for name in ("label", "split"))
    label, split = ("" if value is None or isinstance(value, dict | list) else str(value).strip() for value in found)
    return label, split
