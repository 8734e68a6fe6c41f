"""What an adapter file says of itself: format and fields of its JSON header, which is read here without torch and tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError, safe_open

from udta._files.documents import (
    Document,
    FingerprintDocument,
    TapDocument,
    check_probe_document,
    check_taps,
    raise_problem,
    validated,
)
from udta._files.names import labels_problem
from udta.errors import AdapterError

# Files of before are refused, since an adapter would be built as another one: 4 had no gain of narrow features, in 3 `udta` chose
# nothing, 2 had no checksum.
FORMAT = 5
KEY = "udta"  # of the metadata, whose value is the document
NAME = "adapter.safetensors"  # in a run folder


# What an untrusted file must have before any of it is used; a store without a probe gives an adapter without one.
class AdapterDocument(Document):
    """The fields of a header; see `udta.adapters.AdapterHeader`."""

    adapter: str
    options: dict[str, Any]
    taps: list[TapDocument] = Field(min_length=1)
    classes: list[str] = Field(min_length=1)
    task: str
    fingerprint: FingerprintDocument
    source: dict[str, Any]
    metrics: dict[str, Any]
    training: dict[str, Any]
    probe: dict[str, Any] = Field(default={})


def check_document(document: Mapping[str, Any]) -> None:
    """Raises `ValueError` that names the fields which are missing or cannot be so."""
    found = validated(AdapterDocument, document)
    check_taps(found.taps)
    check_probe_document(found.probe)
    raise_problem(labels_problem(found.classes, "class"))


def adapter_file(path: Path) -> Path:
    """The file at this path, or in the run folder that is there. Raises `AdapterError` where there is none."""
    # Whoever trained has a folder in hand, whoever was sent an adapter a file.
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        raise AdapterError(f"{file}: there is no adapter file; train one with `udta train STORE --out {path}`")
    return file


def check_format(file: Path, document: Mapping[str, Any]) -> None:
    """Raises `AdapterError` for a file of another version of udta, before it is called damaged."""
    version = int(document["format"])
    if version > FORMAT:
        raise AdapterError(f"{file}: adapter format {version}, this udta reads format {FORMAT}: update udta")
    if version < FORMAT:
        raise AdapterError(
            f"{file}: adapter format {version}, this udta reads format {FORMAT}: train it again, or use the version of udta"
            " that wrote it"
        )


def read_document(file: Path) -> dict[str, Any]:
    """The header of an adapter file, checked, but for its checksum: that is of the tensors too, and `load_adapter` compares it.

    Raises:
        AdapterError: damaged, foreign, of too new or too old a format.
    """
    with whole(file):
        try:
            # As arrays of NumPy, of which none is read: torch takes two seconds to load.
            with safe_open(file, framework="np") as opened:
                document = parsed((opened.metadata() or {})[KEY])
        except SafetensorError as error:
            raise ValueError(f"not a readable safetensors file, or cut short: {error}") from error
        check_format(file, document)
    with sound(file):
        check_document(document)
    return document


@contextmanager
def whole(file: Path) -> Iterator[None]:
    """Inside, whatever is raised where a file cannot be read becomes `AdapterError`."""
    try:
        yield
    except KeyError as error:
        raise AdapterError(f"{file}: a safetensors file, but no udta adapter (no {error} in it)") from error
    except (OSError, ValueError, TypeError) as error:
        raise AdapterError(f"{file}: {error}; train it again, or take it from where it is whole") from error


@contextmanager
def sound(file: Path) -> Iterator[None]:
    """The same where the fields of a header that is whole are looked at."""
    try:
        yield
    except ValueError as error:
        raise AdapterError(f"{file}: its udta header is damaged ({error})") from error


def parsed(text: str) -> dict[str, Any]:
    """The JSON object of a header. Raises `ValueError`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # brackets within brackets, some thousand deep
        raise ValueError(f"damaged: its header is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise ValueError("damaged: its header is no JSON object")
    return document
