"""The adapter file: safetensors with one JSON header that says what the adapter is and beside what it may run.

Layout (format version 2). Tensors: the adapter's `state_dict`, by name. Metadata: the single key `udta` with the JSON of
`AdapterHeader` plus `format`. One key alone, because safetensors writes several in an order that changes from run to run,
and two trainings with the same seed shall give the same bytes. Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import save

from udta.adapters.base import Adapter
from udta.adapters.registry import build_adapter
from udta.errors import AdapterError, UdtaError
from udta.files import write_bytes
from udta.fingerprint import Fingerprint, TapSpec

FORMAT = 2
_SINCE = {"udta": 2}  # the first format of adapters whose tensors changed: in format 1, `udta` learned its directions
_KEY = "udta"

# What changes the feature values an adapter sees. Not `views`: an adapter trained on five views runs on one, and a larger
# store with another seed still holds the same view 0.
_BINDING = ("feature_version", "backbone", "input", "compute", "dtype")


@dataclass(frozen=True)
class AdapterHeader:
    """What an adapter file says of itself.

    `taps` are those that the adapter reads, in execution order; `fingerprint` is that of the store it was trained from;
    `source` is a hint how the backbone was named there and may be empty; `metrics` and `training` are for people to read.
    """

    adapter: str
    options: Mapping[str, Any]
    taps: tuple[TapSpec, ...]
    classes: tuple[str, ...]
    fingerprint: Fingerprint
    source: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def check(self, fingerprint: Fingerprint, what: str) -> None:
        """Refuses features that this adapter was not trained for.

        Args:
            fingerprint: of the features at hand; further taps, other views and another seed are welcome.
            what: names them in the message, such as `store 'features.zarr'`.

        Raises:
            AdapterError: backbone, input transform, arithmetic, storage type or one of the adapter's taps differs; every
                differing field is listed.
        """
        names = [tap.name for tap in self.taps]
        differences = _binding(self.fingerprint, names).diff(_binding(fingerprint, names), "adapter", what)
        if differences:
            raise AdapterError(
                "\n".join(
                    [
                        f"this adapter was trained on other features than those of {what}; use the backbone and transform"
                        " it was trained with, or train it again:",
                        *(f"  {line}" for line in differences),
                    ]
                )
            )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file, without the format version."""
        return {
            "adapter": self.adapter,
            "options": dict(self.options),
            "taps": [tap.to_json() for tap in self.taps],
            "classes": list(self.classes),
            "fingerprint": dict(self.fingerprint.fields),
            "source": dict(self.source),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AdapterHeader:
        """The inverse of `to_json`; a missing field is a KeyError."""
        return cls(
            document["adapter"],
            document["options"],
            tuple(TapSpec.from_json(tap) for tap in document["taps"]),
            tuple(document["classes"]),
            Fingerprint(document["fingerprint"]),
            document["source"],
            document["metrics"],
            document["training"],
        )


def save_adapter(path: Path, adapter: Adapter, header: AdapterHeader) -> None:
    """Writes the adapter at `path`, completely or not at all."""
    document = json.dumps({"format": FORMAT, **header.to_json()}, sort_keys=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in adapter.state_dict().items()}
    write_bytes(path, save(tensors, metadata={_KEY: document}))


def load_adapter(path: Path) -> tuple[Adapter, AdapterHeader]:
    """The adapter in evaluation mode on the CPU, and its header.

    Args:
        path: an adapter file, or the run folder that holds `adapter.safetensors`.

    Raises:
        AdapterError: there is no such file, it is truncated or foreign, of too new or too old a format, or does not fit.
    """
    file = path / "adapter.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise AdapterError(f"{file}: there is no adapter file; train one with `udta train STORE --out {path}`")
    metadata, tensors = _read(file)
    header = _parse_header(file, metadata)
    try:
        adapter = build_adapter(
            header.adapter, {tap.name: tap.shape for tap in header.taps}, len(header.classes), **header.options
        )
        adapter.load_state_dict(tensors)
    except (UdtaError, RuntimeError) as error:
        raise AdapterError(f"{file}: this version of udta cannot build the adapter it holds: {error}") from error
    return adapter.eval(), header


def _read(file: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    try:
        with safe_open(file, framework="pt") as opened:
            return opened.metadata() or {}, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise AdapterError(f"{file}: not a readable safetensors file, or cut short: {error}") from error


def _parse_header(file: Path, metadata: Mapping[str, str]) -> AdapterHeader:
    if _KEY not in metadata:
        raise AdapterError(f"{file}: a safetensors file, but no udta adapter (its metadata has no key {_KEY!r})")
    try:
        document = json.loads(metadata[_KEY])
        version = int(document["format"])
        if version > FORMAT:
            raise AdapterError(f"{file}: adapter format {version}, this udta reads up to {FORMAT}: update udta")
        if version < (since := _SINCE.get(document["adapter"], 1)):
            raise AdapterError(
                f"{file}: adapter {document['adapter']!r} of format {version}; this udta reads it from format {since} on:"
                " train it again, or use the version of udta that wrote it"
            )
        return AdapterHeader.from_json(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"{file}: its udta header is damaged ({type(error).__name__}: {error})") from error


def _binding(fingerprint: Fingerprint, taps: list[str]) -> Fingerprint:
    """The fields an adapter must agree with: those of the features themselves, and of the taps it reads."""
    stored = fingerprint.fields.get("taps", {})
    return Fingerprint(
        {**fingerprint.part(*_BINDING).fields, "taps": {tap: stored[tap] for tap in taps if tap in stored}}
    )
