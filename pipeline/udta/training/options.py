"""The one list of what a training can be told.

The command line, `params.yaml`, the entries of a sweep and the Python call take names, kinds, defaults and help texts from these
fields, so that a new option is one field. (`train` spells its arguments out for readers and editors; a test compares them.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from udta._files.validation import Listed, LocalPath, Mark, Options
from udta.labels.options import LabelOptions

# YAML has no way to write an empty mapping but `{}`; an entry without a value means the same.
_Table = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]


def _adapters() -> Iterable[str]:
    # Only for who asks: it imports torch, which takes two seconds.
    from udta.adapters import ADAPTERS

    return [*ADAPTERS, "auto"]


class AdapterSettings(Options):
    """What is trained: what every list of adapters says of each, be it of `params.yaml` or of a sweep."""

    adapter: Annotated[str, Listed(_adapters)] = Field(
        "udta", description="auto cross-validates some of them on the training rows and picks."
    )
    options: _Table = Field(default={}, description="An option of the adapter; may be repeated.")
    recipe: _Table = Field(default={}, description="A field of its recipe, such as epochs=20.")


class TrainOptions(LabelOptions, AdapterSettings):
    """Everything that a training is told but its store: an adapter, labels, the rows that it learns from, where it is left."""

    out: LocalPath = Field(description="The run folder.")
    seed: int = Field(0, description="Of initial weights, order, views and mixup.")
    split: str = Field("train", description="Rows to train on.")
    # An array has no place on a command line, nor a name in a file.
    rows: Annotated[Any, Mark.PYTHON_ONLY] = Field(None, description="Exactly these rows instead of a split.")
    # None, and not `test`: a store without such rows is trained from all the same, and one that names them wrongly is not.
    test_split: str | None = Field(
        None, description="Rows to evaluate on; test by default, if the store has it.", title="SPLIT"
    )
    overwrite: bool = Field(False, description="Train anew where another run is finished.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    tensorboard: LocalPath | None = Field(
        None, description="Log for TensorBoard into a folder of the run's name in this one.", title="DIR"
    )


class RecipeOptions(Options):
    """Fields of a recipe that `udta train` has an option for; None is what the adapter's own recipe says."""

    epochs: int | None = Field(None, description="Passes over the training split.")
    batch_size: int | None = Field(None, description="Rows a step.")
    lr: float | None = Field(None, description="Peak of the one-cycle schedule.")
    weight_decay: float | None = Field(None, description="Decoupled, as AdamW has it.")
    label_smoothing: float | None = Field(None, description="Share of the target spread over all classes.")
    mixup: float | None = Field(None, description="Beta parameter of feature mixup, 0 for none.")
    class_weights: str | None = Field(
        None, description="Of samples in the loss; FILE is a CSV class,weight.", title="none|balanced|FILE"
    )
    sampling: str | None = Field(
        None, description="Every image once an epoch, or every class as often as another.", title="uniform|balanced"
    )
    logit_adjustment: float | None = Field(
        None,
        description="By the shares of classes to this power, 1 for classes of equal shares; closed forms have it too.",
    )
