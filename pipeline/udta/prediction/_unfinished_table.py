"""A table that grows image by image and may be gone on with: whatever moment its writer is killed at, little is lost.

Beside the table `p.csv` two hidden files grow. `.p.csv.unfinished` has its lines. `.p.csv.unfinished.jsonl` says on its first
line what these are of (adapters, options), and then, every second, how much is sure: so many images, which have such names and
contents, in so many bytes with such a checksum. The lines are on the disk before that is said. Who goes on compares all of it,
cuts off what came after, also half a line, and begins anew where anything differs.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field

from udta._files.atomic import check_replaceable, open_new
from udta._files.documents import Document, validated
from udta.images import Manifest
from udta.prediction._reopened import crc32_of, cut, read_whole
from udta.prediction._row_bytes import RowBytes
from udta.prediction._table_lines import Line
from udta.store import BATCH_ROWS

_LOG = logging.getLogger(__name__)

UNFINISHED = ".unfinished"
# What is lost by a kill; a flush of two files at each batch would be felt at 5,000 images/s.
_SURE_EVERY_S = 1.0


class _Said(Document):
    """So many images are in a file of this size in bytes; `samples` is the hash of their names and contents."""

    images: int = Field(ge=1)
    size: int = Field(ge=1)
    crc32: int
    samples: str
    skipped: dict[str, str]


@dataclass(frozen=True)
class _Reached:
    """What was added so far. One value, so that an interruption finds all of it of one moment."""

    images: int = 0
    size: int = 0
    crc32: int = 0
    samples: Any = field(default_factory=hashlib.sha256)
    skipped: Mapping[str, str] = field(default_factory=dict)
    # Where what says so ends: what comes after is cut off.
    said: int = 0

    def with_bytes(self, content: bytes) -> _Reached:
        """Further on in the file alone."""
        return replace(self, size=self.size + len(content), crc32=zlib.crc32(content, self.crc32))

    def with_images(self, manifest: Manifest, images: int, skipped: Mapping[str, str]) -> _Reached:
        """So many images more."""
        samples, stop = self.samples.copy(), self.images + images
        for name, content in zip(manifest.ids[self.images : stop], manifest.hashes[self.images : stop], strict=True):
            samples.update(f"{name}\0{content}\n".encode())
        return replace(
            self, images=stop, samples=samples, skipped={**self.skipped, **skipped} if skipped else self.skipped
        )


class UnfinishedTable:
    """A context. Left with an error it keeps what is done; the next one of the same job begins with that.

    Args:
        target: the table.
        rows: its format.
        job: what its lines are of, as JSON: where anything in it differs, there would be other lines.
        manifest: the images; a job may have been begun with others behind those that are done.
        may_skip: whether there may be images without an answer.

    Raises:
        OSError: something other than a file is at `target`, or it cannot be written.
    """

    def __init__(
        self, target: Path, rows: RowBytes, job: Mapping[str, Any], manifest: Manifest, *, may_skip: bool
    ) -> None:
        check_replaceable(target)
        self._target, self._rows, self._job, self._manifest = target, rows, dict(job), manifest
        self._path = target.with_name(f".{target.name}{UNFINISHED}")
        self._said_path = self._path.with_name(f"{self._path.name}.jsonl")
        self._reached = self._sure = self._continued(may_skip)
        self._when = time.monotonic()
        if self._reached.images:
            self._file, self._said = (
                cut(self._path, self._sure.size),
                cut(self._said_path, self._sure.said),
            )
            return
        self._path.unlink(missing_ok=True)
        self._said_path.unlink(missing_ok=True)
        self._file = io.BufferedWriter(open_new(self._path))
        self._said = open_new(self._said_path)
        self._say({"of": self._job})
        self._reached = self._written(self._rows.head)

    @property
    def done(self) -> int:
        """So many images are in it."""
        return self._reached.images

    @property
    def skipped(self) -> Mapping[str, str]:
        """Which of them have no answer, and why."""
        return self._reached.skipped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            with suppress(OSError):  # a full disk is the error already
                self._make_sure()
        self._file.close()
        self._said.close()
        if error is not None and self._sure.images:
            found = self._sure.images, len(self._manifest), self._target
            _LOG.info("%s of %s images are kept beside %s: the same command goes on from there", *found)
        elif error is not None:
            self._path.unlink(missing_ok=True)
            self._said_path.unlink(missing_ok=True)

    def add(self, lines: Sequence[Line], images: int, skipped: Mapping[str, str]) -> None:
        """The lines of the next images; `skipped` are those of them without an answer."""
        self._reached = self._written(self._rows.encode(lines)).with_images(self._manifest, images, skipped)
        if time.monotonic() - self._when >= _SURE_EVERY_S:
            self._make_sure()

    def finish(self) -> None:
        """Everything was added: the table takes its place, and nothing of what was beside it is left."""
        self._make_sure()
        self._rows.complete(self._path, self._target)
        self._said_path.unlink()

    def _written(self, content: bytes) -> _Reached:
        self._file.write(content)
        return self._reached.with_bytes(content)

    def _make_sure(self) -> None:
        if self._reached.images == self._sure.images:
            return
        # The lines before what says that they are there: a crash of the machine in between loses a second, and no more.
        self._file.flush()
        os.fsync(self._file.fileno())
        now = self._reached
        new = {name: reason for name, reason in now.skipped.items() if name not in self._sure.skipped}
        said = {"images": now.images, "size": now.size, "crc32": now.crc32, "samples": now.samples.hexdigest()}
        self._say({**said, "skipped": new})
        self._sure, self._when = now, time.monotonic()

    def _say(self, document: Mapping[str, Any]) -> None:
        self._said.write(json.dumps(document).encode() + b"\n")
        os.fsync(self._said.fileno())

    def _continued(self, may_skip: bool) -> _Reached:
        """What is sure of this job, which is nothing where there is none, or another."""
        first, *lines = read_whole(self._said_path).split(b"\n")[:-1] or [
            b""
        ]  # what follows the last line break is torn off
        job = _parsed(first).get("of")
        if not isinstance(job, dict) or not self._path.exists():
            return _Reached()
        if differing := [name for name in self._job if job.get(name) != self._job[name]]:
            return self._anew(f"was begun with other {', '.join(differing)}")
        last, said, skipped = None, len(first) + 1, dict[str, str]()
        for line in lines:
            try:
                found = validated(_Said, _parsed(line))
            except ValueError:  # damaged: the end of what is sure
                break
            said += len(line) + 1
            skipped |= found.skipped
            # In batches as those of a run that nobody interrupts, so that the bits are the same.
            if not found.images % BATCH_ROWS or found.images == len(self._manifest):
                last = found, said, dict(skipped)
        if last is None:
            return _Reached()
        return self._checked(*last, may_skip)

    def _checked(self, found: _Said, said: int, skipped: Mapping[str, str], may_skip: bool) -> _Reached:
        if found.images > len(self._manifest):
            return self._anew("was begun with other images")
        reached = _Reached().with_images(self._manifest, found.images, skipped)
        if reached.samples.hexdigest() != found.samples:
            return self._anew("was begun with other images")
        if skipped and not may_skip:
            return self._anew("leaves images out, which --on-error fail does not")
        if crc32_of(self._path, found.size) != found.crc32:
            return self._anew("is damaged")
        _LOG.info("goes on after %s of %s images, which are done", found.images, len(self._manifest))
        return replace(reached, size=found.size, crc32=found.crc32, said=said)

    def _anew(self, why: str) -> _Reached:
        _LOG.warning("note: the unfinished table beside %s %s: it is begun anew", self._target, why)
        return _Reached()


def _parsed(line: bytes) -> dict[str, Any]:
    """A line that was said; empty where it is something else."""
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return {}
