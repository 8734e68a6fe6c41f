"""Files of tensors with one JSON document and a checksum of both: adapters, checkpoints, the state of a sweep.

safetensors alone notices a file that is cut short, but not a flipped bit: of 20 bits flipped in the tensors of adapters 20 were
loaded, and 4 changed the first class. So the document carries a CRC-32C over itself and every tensor's name, type, shape and
bytes, which costs a sixteenth of a second a gigabyte.

The document is the value of one metadata key. One key alone, because safetensors writes several in an order that changes from
run to run, and two trainings with the same seed shall give the same bytes. Nothing in such a file is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from udta._files.adapter_document import parsed
from udta._files.atomic import write_bytes

_CHECKSUM = "checksum"


def write_tensors(path: Path, key: str, document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write them completely or not at all; `key` says what kind of file it is, tensors may be on any device."""
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(document))  # as it comes back: tuples as lists, keys as text
    # In the document, since a second key would make the order of keys matter again.
    signed = {**plain, _CHECKSUM: _checksum(plain, here)}
    write_bytes(path, save(here, metadata={key: json.dumps(signed, sort_keys=True)}))


def read_tensors(
    path: Path, key: str, accept: Callable[[dict[str, Any]], None] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The document and the tensors, on the CPU.

    Args:
        path: the file.
        key: what kind of file it shall be.
        accept: called with the document before any tensor is read, and before the checksum is looked at: it may raise, so
            that a file of another format is called old and not damaged.

    Raises:
        KeyError: a file of tensors of another kind.
        ValueError: cut short, or changed since it was written; the message says which.
        OSError: it is not there or cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            document = parsed((opened.metadata() or {})[key])
            if accept:
                accept(document)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # iterates over nothing else
    except SafetensorError as error:
        raise ValueError(f"not a readable safetensors file, or cut short: {error}") from error
    if document.pop(_CHECKSUM, None) != _checksum(document, tensors):
        raise ValueError("damaged: its checksum does not fit what it holds")
    return document, tensors


def _checksum(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """CRC-32C of the document's canonical JSON, then of each tensor in the order of names."""
    crc = google_crc32c.value(json.dumps(document, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        crc = google_crc32c.extend(crc, f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        # As bytes: NumPy has no bfloat16, and -0.0 and NaN have more than one pattern.
        crc = google_crc32c.extend(crc, tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return f"{crc:08x}"
