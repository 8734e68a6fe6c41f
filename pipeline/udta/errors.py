"""Every error that udta raises on purpose.

::

    UdtaError                    exit status 1: the work failed
    ├── ConfigError              exit status 2: what was asked is wrong; lists every problem at once
    │   └── RowError             a row that the store does not have; an IndexError too
    ├── DataError                images, manifests, splits
    │   └── ImageError           one image cannot be used
    ├── BackboneError            cannot be built, is not frozen, lacks a tap
    │   └── WeightsError         a weights file that does not fit or must not be loaded
    ├── FeatureError             a feature that may not be stored (NaN, infinite)
    ├── StoreError               a store that cannot be opened or written
    │   ├── NotAStoreError       the path holds something that is not ours
    │   ├── StoreBusyError       another process writes it
    │   ├── StaleStoreError      it was made from something else; carries the field diff
    │   ├── UncommittedRowError  a row that no ledger record covers
    │   ├── StoreReplacedError   another store took its name while it was open
    │   └── CorruptStoreError    bytes that do not match their record
    ├── OutputBusyError          another process writes the same file or folder
    └── AdapterError             an adapter file, or an adapter beside the wrong backbone or store

A message says what is wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from udta._console.terminal import one_line

P = ParamSpec("P")
T = TypeVar("T")


class UdtaError(Exception):
    """Base of all of them. The command prints the message without a traceback and exits with `exit_status`."""

    # Scripts tell two cases apart: 1, the same may work when the world has changed; 2, as click has it, it never will.
    exit_status = 1


class ConfigError(UdtaError):
    """Options, parameters or names that are wrong; `problems` holds one sentence for each."""

    exit_status = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        # A list beside the text: what checks several things joins the sentences of each into one error.
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


# Whoever indexes a sequence expects an IndexError, the command an exit status.
class RowError(ConfigError, IndexError):
    """A row number outside the store."""


class DataError(UdtaError):
    """A folder, manifest or split file that cannot be used."""


class ImageError(DataError):
    """One image cannot be used; `path` names it and `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        # Apart, so that a policy can record the reason with the row; the name is a stranger's, and may hold line breaks.
        self.path, self.reason = path, reason
        super().__init__(f"{one_line(path)}: {reason}")


class BackboneError(UdtaError):
    """A backbone that cannot be built, is not frozen, or lacks what was asked of it."""


class WeightsError(BackboneError):
    """Weights that do not fit the backbone or must not be loaded."""


class FeatureError(UdtaError):
    """A feature value that may not be stored."""


class StoreError(UdtaError):
    """A store that cannot be opened, read or written."""


class NotAStoreError(StoreError):
    """The path holds something that is not a udta store."""


class StoreBusyError(StoreError):
    """Another process is writing the store."""


class StaleStoreError(StoreError):
    """The store was made from something else than what is asked; `differences` lists the fields."""

    def __init__(self, message: str, differences: Sequence[str]) -> None:
        self.differences = list(differences)
        super().__init__("\n".join([message, *(f"  {line}" for line in differences)]))


class UncommittedRowError(StoreError):
    """A row was asked for that no ledger record covers."""


class StoreReplacedError(StoreError):
    """Another store took the name of one that is open (it grew, or was made anew); open it again."""


class CorruptStoreError(StoreError):
    """Stored bytes do not match what the ledger or the metadata says."""


class OutputBusyError(UdtaError):
    """Another process is writing the same file or folder."""


class AdapterError(UdtaError):
    """An adapter file that cannot be used, or an adapter beside the wrong backbone or store."""


def reason(error: Exception) -> str:
    """What an error says, without the file, which whoever quotes it calls by the name that the user knows."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def did_you_mean(name: str, valid: Iterable[str], limit: int = 3) -> str:
    """The closing half-sentence of an error about an unknown name: the nearest valid ones, or all if they are few."""
    options = list(valid)
    # difflib's own 0.6 would not find `float16` for `fp16` (0.55).
    near = difflib.get_close_matches(name, options, n=limit, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(option) for option in near) + "?"
    # The modules of a network would bury the message.
    if len(options) <= 12:
        return "valid are: " + ", ".join(options)
    return f"there are {len(options)} valid names, such as " + ", ".join(options[:limit])


class Problems:
    """Collects what is wrong with a request, so that the user hears everything at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, problem: str) -> None:
        """One more sentence."""
        self.found.append(problem)

    def collect(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The function's result, or None when it raised a `ConfigError`, whose problems are kept."""
        try:
            return function(*args, **kwargs)
        # Of what is asked, everything that is wrong can be told; whatever else fails ends the work there.
        except ConfigError as error:
            self.found += error.problems
            return None

    def raise_any(self) -> None:
        """Raise one `ConfigError` with all of them, if there are any."""
        if self.found:
            raise ConfigError(self.found)
