"""The store engines by name, and which one a directory belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from udta._machine.imported import Imported
from udta.errors import ConfigError, CorruptStoreError, NotAStoreError, StoreError, did_you_mean
from udta.store._directory import Directory, check_files
from udta.store._engine import Engine
from udta.store._layout import FORMAT_VERSION


class _Line(NamedTuple):
    """The class of an engine, and its lossless compressions, `none` first."""

    path: str
    codecs: tuple[str, ...]


# Paths instead of imports, so that an engine is one line here.
_LINES = {
    "zarr": _Line("_zarr_engine:ZarrEngine", ("none", "zstd", "gzip")),
    "hdf5": _Line("_hdf5_engine:Hdf5Engine", ("none", "gzip", "lzf")),
}


ENGINES: Mapping[str, type[Engine]] = Imported(__package__, _LINES, lambda line: line.path)


def codecs_of(formats: Iterable[str]) -> list[str]:
    """The compressions of one format or several, `none` first, each once."""
    return list(dict.fromkeys(codec for name in formats for codec in _LINES[name].codecs))


def find_engine(name: str) -> type[Engine]:
    """The engine of a format. Raises `ConfigError` for an unknown one."""
    if name not in ENGINES:
        raise ConfigError(f"format is {name!r}: {did_you_mean(name, ENGINES)}")
    return ENGINES[name]


def engine_with(name: str, codec: str) -> type[Engine]:
    """The engine of a format that has this codec. Raises `ConfigError`."""
    engine = find_engine(name)
    if codec not in (codecs := codecs_of([name])):
        raise ConfigError(f"codec is {codec!r}, for format {name}: {did_you_mean(codec, codecs)}")
    return engine


def engine_at(path: Path) -> Engine | None:
    """The engine of the store at `path`, or None when there is none; it stays with this store, whatever takes its name.

    Raises:
        StoreError: the directory may not be read.
        CorruptStoreError: it holds links or what is no regular file.
    """
    # Again where the store was exchanged between opening the folder and looking into it: the old one may be half removed.
    while True:
        try:
            directory = Directory.held(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be opened ({error.strerror or error})") from error
        engine = next((engine(directory) for engine in ENGINES.values() if engine.owns(directory)), None)
        if engine is not None:
            check_files(directory)  # before any library opens a file of it
        if engine is not None or not directory.replaced:  # else its successor is looked at
            return engine


def check_version(engine: Engine) -> None:
    """Raises `NotAStoreError` when the store was written by a newer udta."""
    try:
        version = int(engine.ledger.sealed_attributes()["format_version"])
    except (CorruptStoreError, KeyError, TypeError, ValueError):
        return  # damaged rather than new; the seal says so
    if version > FORMAT_VERSION:
        raise NotAStoreError(
            f"{engine.directory.path} has store format {version}, newer than this udta reads ({FORMAT_VERSION}); upgrade udta"
        )
