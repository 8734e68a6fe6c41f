"""The adapter file: safetensors with one JSON header that says what the adapter is and beside what it may run.

Layout (format version 5). Tensors: the adapter's `state_dict`, by name. Metadata: the single key `udta` with the JSON of
`AdapterHeader` plus `format` and a `checksum` of everything, see `udta._files.tensor_file`; fields in
`udta._files.adapter_document`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from udta._files.adapter_document import FORMAT, KEY, adapter_file, check_document, check_format, sound, whole
from udta._files.tensor_file import read_tensors, write_tensors
from udta._machine.device import own_randomness
from udta.adapters.base import Adapter
from udta.adapters.registry import build_adapter
from udta.errors import AdapterError, UdtaError
from udta.fingerprint import Fingerprint, TapSpec
from udta.probe import Probe

# What changes the feature values an adapter sees. Not `views`: an adapter trained on five views runs on one, and a larger
# store with another seed still holds the same view 0.
_BINDING = ("feature_version", "backbone", "input", "compute", "dtype")


@dataclass(frozen=True)
class AdapterHeader:
    """What an adapter file says of itself.

    `taps` are those that the adapter reads, in execution order; `classes` are the names of its outputs, labels or
    targets where the `task` is not `multiclass`; `fingerprint` is that of the store it was trained from;
    `source` is a hint how the backbone was named there and may be empty; `probe` is what the backbone gave for a fixed picture
    then; `metrics` and `training` are for people to read.
    """

    adapter: str
    options: Mapping[str, Any]
    taps: tuple[TapSpec, ...]
    classes: tuple[str, ...]
    fingerprint: Fingerprint
    source: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    probe: Probe = field(default_factory=Probe)
    task: str = "multiclass"

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
        _refuse(differences, what)

    def check_code(self, probe: Probe, what: str) -> None:
        """Refuses features of a backbone that has the right fingerprint and computes something else; an empty probe says nothing.

        Raises:
            AdapterError: as `check`.
        """
        _refuse(self.probe.differences(probe), what)

    def to_json(self) -> dict[str, Any]:
        """What stands in the file, but for the format version."""
        return {
            "adapter": self.adapter,
            "options": dict(self.options),
            "taps": [tap.to_json() for tap in self.taps],
            "classes": list(self.classes),
            "task": self.task,
            "fingerprint": dict(self.fingerprint.fields),
            "source": dict(self.source),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
            "probe": self.probe.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AdapterHeader:
        """The inverse of `to_json`. Raises `ValueError` that names the fields which are missing or cannot be so."""
        check_document(document)
        return cls(
            document["adapter"],
            document["options"],
            tuple(TapSpec.from_json(tap) for tap in document["taps"]),
            tuple(document["classes"]),
            Fingerprint(document["fingerprint"]),
            document["source"],
            document["metrics"],
            document["training"],
            Probe.from_json(document.get("probe", {})),
            document["task"],
        )


def save_adapter(path: Path, adapter: Adapter, header: AdapterHeader) -> None:
    """Writes the adapter at `path`, completely or not at all."""
    # Buffers too: directions, statistics of BatchNorm, the keys of `knn`.
    write_tensors(path, KEY, {"format": FORMAT, **header.to_json()}, adapter.state_dict())


def load_adapter(path: Path) -> tuple[Adapter, AdapterHeader]:
    """The adapter in evaluation mode on the CPU, and its header.

    Args:
        path: an adapter file, or the run folder that holds `adapter.safetensors`.

    Raises:
        AdapterError: there is no such file, it is damaged or foreign, of too new or too old a format, or does not fit.
    """
    file = adapter_file(path)
    header, tensors = _read(file)
    try:
        shapes = {tap.name: tap.shape for tap in header.taps}
        with own_randomness(0):  # of initial weights, which are replaced
            adapter = build_adapter(header.adapter, shapes, len(header.classes), task=header.task, **header.options)
        adapter.load_state_dict(tensors)
    # What a foreign header may set off: names and sizes that do not fit, and sizes that no memory holds.
    except (UdtaError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise AdapterError(f"{file}: this version of udta cannot build the adapter it holds: {error}") from error
    return adapter.eval(), header


def _read(file: Path) -> tuple[AdapterHeader, dict[str, torch.Tensor]]:
    with whole(file):
        # The format before the checksum: a file of another version is old or new, not damaged.
        document, tensors = read_tensors(file, KEY, lambda found: check_format(file, found))
    with sound(file):
        return AdapterHeader.from_json(document), tensors


def _refuse(differences: Sequence[str], what: str) -> None:
    if differences:
        raise AdapterError(
            "\n".join(
                [
                    f"this adapter was trained on other features than those of {what}; use the backbone and transform it was"
                    " trained with, or train it again:",
                    *(f"  {line}" for line in differences),
                ]
            )
        )


def _binding(fingerprint: Fingerprint, taps: list[str]) -> Fingerprint:
    """The fields an adapter must agree with: those of the features themselves, and of the taps it reads."""
    # Of the taps only those that it reads: a store that grew by another tap fits as before.
    stored = fingerprint.fields.get("taps", {})
    return Fingerprint(
        {**fingerprint.part(*_BINDING).fields, "taps": {tap: stored[tap] for tap in taps if tap in stored}}
    )
