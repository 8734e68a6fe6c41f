"""What an adapter says of images, as lines of a table: a class, the labels that are there, or numbers."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from udta.adapters import Adapter

# Label, probability, value.
Line = tuple[str, float | None, float | None]


def lines_of(adapter: Adapter, classes: Sequence[str], answers: Float[Tensor, "images classes"]) -> list[list[Line]]:
    """The lines of each image.

    Of several labels one for each above its threshold, and where none is one without label, with the highest probability.
    """
    if adapter.task.exclusive:
        probabilities = answers.softmax(dim=1).numpy()
        best = probabilities.argmax(axis=1)  # NumPy's: of equals the first
        return [[(classes[index], float(own[index]), None)] for index, own in zip(best, probabilities, strict=True)]
    if adapter.task.in_units:
        return [[(name, None, value) for name, value in zip(classes, own, strict=True)] for own in answers.tolist()]
    there, probabilities_of = (answers > adapter.threshold.cpu()).tolist(), answers.sigmoid().tolist()
    return [
        [(name, p, None) for name, p, called in zip(classes, own, said, strict=True) if called]
        or [("", max(own), None)]
        for own, said in zip(probabilities_of, there, strict=True)
    ]
