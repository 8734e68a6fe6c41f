"""What stands in the JSON of stores and adapter files alike, checked on reading: types, ranges and names, with one error a field.

A file is whatever its sender made of it, so nothing is taken for granted: what was written with udta always passes, and behind
these checks nobody has to ask again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from udta._files.names import document_problem, tap_problem
from udta._files.validation import sentences

# Of an axis: what a signed 32-bit index reaches, so that products of a few of them stay within 64 bits.
Size = Annotated[int, Field(ge=1, lt=2**31)]
# One view of one sample: the largest maps of real networks are some hundred megabytes.
_LARGEST_ROW = 2**33
_SHOWN = 3  # of its errors: a list of a million wrong numbers has as many


class Document(BaseModel):
    """A JSON object; fields that it does not know are passed over, since a newer version may have them."""

    # Strict: pydantic otherwise takes "3" and 3.0 for 3, and a document that is read would not be the one that was checked.
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class TapDocument(Document):
    """One kept output of a backbone: name, reducer as it is spelt, shape of a row, type in the store, and the module it is from.

    What `TapSpec.to_json` writes.
    """

    name: str
    reducer: str
    shape: list[Size] = Field(min_length=1, max_length=6)
    dtype: Literal["float16", "float32", "bfloat16", "uint8"]
    module: str = ""  # empty where it is the name


class _Backbone(Document):
    factory: str = ""
    architecture: str = ""
    weights: str = ""


class _Input(Document):
    evaluate: str = ""
    mean: list[float] = []
    std: list[float] = []
    decoder: str = ""


class _TapField(Document):
    module: str = ""
    reducer: str
    shape: list[Size]


class _Views(Document):
    count: Size
    seed: int
    augment: str = ""


class FingerprintDocument(Document):
    """The fields of a fingerprint that are read by name; the document itself is kept as it is."""

    # All with defaults: fingerprints of earlier versions lack some, and a comparison says that in the words of its diff.
    feature_version: int | None = None
    backbone: _Backbone | None = None
    input: _Input | None = None
    taps: dict[str, _TapField] = {}
    views: _Views | None = None
    compute: str = ""
    dtype: str = ""


class _Probe(Document):
    taps: dict[str, list[float]]
    place: str
    versions: dict[str, str]


_Model = TypeVar("_Model", bound=Document)


def validated(model: type[_Model], document: Mapping[str, Any]) -> _Model:
    """The document as its model. Raises `ValueError` that names the fields which are not what they can be."""
    raise_problem(document_problem(document))
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = sentences(error, model)
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ValueError("; ".join(found[:_SHOWN]) + more) from None


def check_taps(taps: Sequence[TapDocument]) -> None:
    """Raises `ValueError` where taps cannot be called so, are there twice or too large."""
    for tap in taps:
        raise_problem(tap_problem(tap.name))
        raise_problem(tap_problem(tap.module or tap.name))
        if math.prod(tap.shape) > _LARGEST_ROW:
            raise ValueError(f"tap {tap.name!r}: a row of {tap.shape} values fits nowhere")
    # A dictionary by name would silently hold the last one, beside the arrays of the first.
    if len({tap.name for tap in taps}) < len(taps):
        raise ValueError("taps: a name stands there twice")


def check_probe_document(document: Mapping[str, Any]) -> None:
    """Raises `ValueError` where this is not what `Probe.to_json` writes; nothing is a probe that says nothing."""
    if document and any(len(numbers) == 1 for numbers in validated(_Probe, document).taps.values()):
        raise ValueError("probe: a tap has one number, where a mean and a size have to be")


def raise_problem(problem: str | None) -> None:
    """Raises `ValueError` with it, if there is one."""
    if problem:
        raise ValueError(problem)
