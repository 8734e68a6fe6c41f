"""How what is stored stands to what is asked: the same, less of it, or something else. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from udta.errors import CorruptStoreError
from udta.store._attributes import check_attributes
from udta.store._changes import Changes, changes
from udta.store._engine import Engine
from udta.store._growth import Predecessor, only_more
from udta.store._layout import Layout
from udta.store._record import Record
from udta.store._registry import check_version, engine_at, find_engine

# Rows of a store whose columns are lost and whose records do not vouch for so many: a number in a file allocates memory.
_MOST_LOST = 10_000_000
Samples = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Continuation:
    """What a writer does with a store that is there.

    `asked` is the layout asked for with the block size of the store; `differences` says why the store cannot be used (empty when
    it can); `old` is there when it has to grow; `outdated` when columns or attributes have to be written anew; `changes` says
    which images come and go when it grows.
    """

    asked: Layout
    records: Mapping[int, Record]
    changes: Changes
    differences: Sequence[str] = ()
    old: Predecessor | None = None
    outdated: bool = False


def compare_with_stored(
    engine: Engine,
    layout: Layout,
    samples: Samples,
    format: str | None,  # noqa: A002
    *,
    retry_skipped: bool = False,
) -> Continuation:
    """Compare the store of `engine` with what is asked of it.

    Args:
        engine: of a store that is there.
        layout: what is asked.
        samples: (id, content hash) of every row that is asked.
        format: name of an engine, or None for any.
        retry_skipped: whether a store with images that were skipped has to grow by them.

    Raises:
        NotAStoreError: the store was written by a newer udta.
        CorruptStoreError: its metadata and its seal are damaged, or a record is.
    """
    check_version(engine)
    # Damaged columns can be written anew, so that a store whose labels were hit by a flipped bit is not computed again.
    sound = not engine.ledger.check_seal()
    records = {record.block: record for record in engine.ledger.records()}
    stored = engine.load() if sound else _recovered(engine, records)
    records = {record.block: record for record in engine.check_records(stored, records.values())}
    # Whatever the default is now: with other blocks nothing that is stored could be taken over as it is.
    asked = replace(layout, block_rows=stored.block_rows)
    code = _code_differences(stored, asked)
    differences, unchanged = _format_differences(engine, asked, stored, format) + code, Changes(len(stored))
    same = stored.fingerprint == asked.fingerprint and _same_samples(samples, stored, records)
    retry = retry_skipped and any(record.skipped for record in records.values())
    if not differences and same and not retry:
        asked = _as_measured(asked, stored)
        return Continuation(asked, records, unchanged, outdated=not sound or columns_differ(stored, asked))
    if not differences and only_more(stored.fingerprint, asked.fingerprint):
        old = Predecessor(engine, stored, records, asked, samples)
        if not old.shares_nothing:
            # With no record it is not known what any row holds, so nothing can be lost.
            found = unchanged if same or not records else changes(stored.ids, records, samples)
            return Continuation(asked, records, found, old=old)
        differences = ["images: none of those asked for is among those stored"]
    if not code:  # then what is more would be no reason
        differences += stored.fingerprint.diff(asked.fingerprint)
    return Continuation(asked, records, unchanged, differences=differences)


def resumable(grown: Engine, asked: Layout, samples: Samples) -> list[Record] | None:
    """The records of a growth towards `asked` that was interrupted; None where there is none that can be continued."""
    try:
        # Half made or half removed: to begin anew costs at most what it had, which to go on with could make wrong.
        if not type(grown).owns(grown.directory) or grown.ledger.check_seal():
            return None
        there, records = grown.load(), list(grown.ledger.records())
    except CorruptStoreError:
        return None
    if not there.probe.differences(asked.probe):
        there = replace(there, probe=asked.probe)  # but for rounding the same
    same = there.ids == asked.ids and there.attributes() == asked.attributes() and not columns_differ(there, asked)
    agrees = all(samples[record.start : record.stop] == record.samples for record in records)
    return records if same and agrees else None


def _as_measured(asked: Layout, stored: Layout) -> Layout:
    # What was measured when it was made: of this run's sample of images it would be other numbers, and change the bytes.
    return replace(
        asked,
        storage_error=stored.storage_error,
        compute_error=stored.compute_error,
        probe=stored.probe,
        memory_format=stored.memory_format,
        generation=stored.generation,  # the same, or one that an older udta did not write
    )


def columns_differ(stored: Layout, asked: Layout) -> bool:
    """Whether labels, splits or attributes are others, features being the same."""
    return (
        not np.array_equal(stored.labels, asked.labels)
        or stored.splits != asked.splits
        or stored.attributes() != asked.attributes()
    )


def _format_differences(engine: Engine, asked: Layout, stored: Layout, format: str | None) -> list[str]:  # noqa: A002
    lines = []
    if format is not None and find_engine(format) is not type(engine):
        lines.append(f"format: stored {engine.format!r}, asked {format!r} (`udta export --to {format}` converts)")
    if asked.codec != stored.codec:
        lines.append(f"codec: stored {stored.codec!r}, asked {asked.codec!r}")
    return lines


def _code_differences(stored: Layout, asked: Layout) -> list[str]:
    """What a fingerprint cannot show: code of the same name and weights that computes something else."""
    if not only_more(stored.fingerprint, asked.fingerprint):
        return []
    return stored.probe.differences(asked.probe)


def _same_samples(samples: Samples, stored: Layout, records: Mapping[int, Record]) -> bool:
    # By the records for contents, by the columns for rows that have none yet.
    committed = all(samples[record.start : record.stop] == record.samples for record in records.values())
    return committed and stored.ids == tuple(name for name, _ in samples)


def _recovered(engine: Engine, records: Mapping[int, Record]) -> Layout:
    """The layout of a store whose columns are damaged: attributes from the seal, identities from the records."""
    attributes = engine.ledger.sealed_attributes()
    try:
        check_attributes(attributes)
        n = attributes["rows"]
        # A record takes a hundred bytes or so for each sample in its file, so what it vouches for was paid for on the disk.
        if n > max(_MOST_LOST, 1000 * sum(len(record.samples) for record in records.values())):
            raise ValueError(f"it claims {n} rows")
        ids = [""] * n
        for record in records.values():
            ids[record.start : record.stop] = [name for name, _ in record.samples]
        return Layout.from_seal(attributes, ids[:n])
    except ValueError as error:
        raise CorruptStoreError(
            f"{engine.directory.path}: the store's seal is not that of a store ({error}); remove it and extract again"
        ) from error


def sealed_layout(path: Path) -> Layout | None:
    """The layout of the store at `path` without its rows, as its seal has it; None where there is none that can be read.

    Raises:
        NotAStoreError: the store was written by a newer udta.
    """
    engine = engine_at(path)
    if engine is None:
        return None
    check_version(engine)
    try:
        return Layout.from_seal(engine.ledger.sealed_attributes(), [])
    except (CorruptStoreError, ValueError):  # whoever opens it says what is wrong with it
        return None


def known_layout(path: Path, asked: Layout) -> tuple[Layout | None, bool]:
    """The layout of the sound store at `path`, if there is one, and whether a store with it can continue or grow to `asked`."""
    engine = engine_at(path)
    if engine is None or engine.ledger.check_seal():
        return None, False
    stored = engine.load()
    return stored, only_more(stored.fingerprint, asked.fingerprint) and not _code_differences(stored, asked)
