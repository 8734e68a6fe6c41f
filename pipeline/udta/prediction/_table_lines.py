"""The table of predictions: its columns, and the lines of each image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from udta.adapters import AdapterHeader
from udta.prediction._prediction import Prediction

# `float` has the 24 bits that an adapter computes in, `double` what tables of before had.
Kind = Literal["text", "double", "float", "whole"]
# Cells in the order of the columns; None where a line has nothing to say.
Line = Sequence[Any]
# Label, probability, value, rank.
_Said = tuple[str, float | None, float | None, int | None]


@dataclass(frozen=True)
class Lines:
    """Which lines there are, and with which columns.

    A line for each image and adapter: `path`, `adapter`, `label`, `probability`. Of several labels one for each that is above its
    threshold, and where none is one without label, with the highest probability. Of numbers one for each target, with its
    `value`. An image without an answer keeps a line without label.

    Attributes:
        with_values: whether an adapter says numbers, so that there is a column for them.
        top_k: a line for each of so many likeliest classes or labels instead, with its `rank`, from 1.
        wide: of what there is a column `probability:NAME`, in every line of an adapter that knows it.
    """

    with_values: bool = False
    top_k: int | None = None
    wide: tuple[str, ...] = ()

    @classmethod
    def asked(cls, headers: Iterable[AdapterHeader], top_k: int | None, probabilities: bool) -> Lines:
        """What suits adapters: classes that several know have one column."""
        tasks = list(headers)
        names = [name for header in tasks if header.task != "regression" for name in header.classes]
        wide = tuple(dict.fromkeys(names)) if probabilities else ()
        return cls(any(header.task == "regression" for header in tasks), top_k, wide)

    @property
    def columns(self) -> dict[str, Kind]:
        """What stands in each, in their order."""
        found: dict[str, Kind] = {"path": "text", "adapter": "text", "label": "text", "probability": "double"}
        if self.with_values:
            found["value"] = "double"
        if self.top_k is not None:
            found["rank"] = "whole"
        return {**found, **{f"probability:{name}": "float" for name in self.wide}}

    def of(
        self, names: Sequence[str], adapter: str, prediction: Prediction, without: Collection[str]
    ) -> Iterator[Line]:
        """The lines of some images, of one adapter.

        Args:
            names: of the images, in the order of the prediction.
            adapter: its path.
            prediction: what it says.
            without: names of images that have no answer.
        """
        columns = {name: number for number, name in enumerate(prediction.classes)}
        places = (
            [columns.get(name) for name in self.wide] if prediction.task != "regression" else [None] * len(self.wide)
        )
        for row, (name, said) in enumerate(zip(names, self._said(prediction), strict=True)):
            if name in without:
                # It keeps its line, so that tables of two runs have the same lines.
                yield [name, adapter, *self._cells(("", None, None, None)), *(None for _ in self.wide)]
                continue
            values = prediction.values[row].tolist() if self.wide else ()
            wide = [None if place is None else values[place] for place in places]
            for each in said:
                yield [name, adapter, *self._cells(each), *wide]

    def _cells(self, said: _Said) -> list[Any]:
        label, probability, value, rank = said
        found: list[Any] = [label, probability]
        if self.with_values:
            found.append(value)
        return found if self.top_k is None else [*found, rank]

    def _said(self, prediction: Prediction) -> Iterator[list[_Said]]:
        classes = prediction.classes
        if prediction.task == "regression":
            for own in prediction.values.tolist():
                yield [(name, None, value, None) for name, value in zip(classes, own, strict=True)]
        elif self.top_k is not None or prediction.is_there is None:
            for best in prediction.top(self.top_k or 1):
                yield [(name, chance, None, rank) for rank, (name, chance) in enumerate(best, 1)]
        else:
            for own, there in zip(prediction.values.tolist(), prediction.is_there.tolist(), strict=True):
                called: list[_Said] = [(classes[at], own[at], None, None) for at, above in enumerate(there) if above]
                yield called or [("", max(own), None, None)]


def as_columns(names: Iterable[str], lines: Sequence[Line]) -> Mapping[str, list[Any]]:
    """Lines turned into columns by name."""
    return {name: [line[at] for line in lines] for at, name in enumerate(names)}
