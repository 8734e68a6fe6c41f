"""What every adapter is: a small module from stored taps to logits, with declared options and a default recipe.

An adapter knows nothing of backbones or images. It is built from the shapes of the taps it may read, says which of them it
does read (`taps_used`, so that a loader reads nothing else), and is rebuilt from `options`, which are plain JSON.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, Int64, Num
from torch import Tensor

from udta._files.validation import Options
from udta.adapters.output import Output
from udta.adapters.recipe_values import AFTERWARDS, ClassWeights, checked
from udta.errors import AdapterError, ConfigError, Problems, did_you_mean
from udta.tasks import find_task


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained when nothing else is asked.

    `lr` is the peak of a one-cycle schedule, `weight_decay` is decoupled (AdamW), `mixup` is the parameter of the symmetric
    Beta distribution that feature maps are mixed with (0 turns it off), `clip` bounds the norm of the whole gradient.

    The last three make up for rare classes, one of them at a time: `class_weights` in the loss, `sampling` in the order of an
    epoch, `logit_adjustment` by the shares of classes to this power, in the loss or, of a closed form, afterwards.
    """

    epochs: int
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.0
    clip: float = 1.0
    class_weights: ClassWeights = "none"
    sampling: str = "uniform"
    logit_adjustment: float = 0.0

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """This recipe with some fields replaced; `class_weights` may be a file `class,weight`, which is read here.

        Raises:
            ConfigError: unknown fields or impossible values; every problem is listed.
        """
        return replace(self, **checked(vars(self), changes))


@runtime_checkable
class Samples(Protocol):
    """A batch in which every view of an image is a sample of its own; `rows` says of which image.

    `labels` are class indices `[batch]`, or numbers `[batch, outputs]` of other tasks.
    """

    @property
    def taps(self) -> Mapping[str, Float[Tensor, "batch ..."]]: ...  # noqa: D102
    @property
    def labels(self) -> Num[Tensor, "batch ..."]: ...  # noqa: D102
    @property
    def rows(self) -> Int64[Tensor, " batch"]: ...  # noqa: D102


@dataclass(frozen=True)
class HeldOut:
    """How well a closed form predicted the views of training images that it had left out: the task's mean loss and accuracy."""

    loss: float
    accuracy: float


class AdapterOptions(Options):
    """Base of every adapter's options: unknown names are refused, values are checked, all of them are JSON."""


class Adapter(Output, ABC):
    """A module `dict[tap, Tensor] -> logits` that never sends a gradient into the features.

    What it says is those of `Output`: at a temperature, which is 1 until it has been trained, or in the units of the labels.

    Args:
        taps: the shape of one view of one sample by tap, in execution order: `[C]`, `[C, H, W]` or `[T, D]`; the last one is
            the deepest.
        n_classes: width of the logits: how many classes, at least 2, or of another task how many labels or targets.
        task: a key of `udta.tasks.TASKS`.
        **options: fields of `options_type`, as JSON values.

    Raises:
        ConfigError: unknown task, unknown or wrong options, no taps, taps of another rank or too few classes; every problem is
            listed.
    """

    name: ClassVar[str]
    recipe: ClassVar[Recipe]
    closed_form: ClassVar[bool] = False  # trained by `solve` alone, no gradient steps
    options_type: ClassVar[type[AdapterOptions]] = AdapterOptions
    # Buffers by whose values it is decided which operations are done: a program has to have them as constants.
    deciding: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, *, task: str = "multiclass", **options: Any
    ) -> None:
        super().__init__()
        problems = Problems()
        problems.found += _shape_problems(taps)
        settings = problems.collect(self.options_type.checked, options, f"adapter {self.name!r}")
        found = problems.collect(find_task, task)
        if found and n_classes < found.fewest:
            what = (
                "class(es): a classifier needs at least two" if found.exclusive else "outputs: there is nothing to tell"
            )
            problems.add(f"adapter {self.name!r}: {n_classes} {what}")
        problems.raise_any()
        assert settings is not None  # a problem otherwise
        assert found is not None
        self.settings = settings
        # Lists in JSON, tuples in a store; the order is that of execution, by which the last one is the deepest.
        self.taps = {tap: tuple(shape) for tap, shape in taps.items()}
        self.register_outputs(found, n_classes)

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its value, as JSON: enough, with taps and classes, to build this adapter again."""
        return self.settings.model_dump(mode="json")

    @property
    @abstractmethod
    def taps_used(self) -> tuple[str, ...]:
        """The taps that `forward` reads, in execution order."""

    @property
    def solves_labels(self) -> bool:
        """Whether what `solve` finds depends on the labels, not on the features alone."""
        return type(self).solve is not Adapter.solve

    @abstractmethod
    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """From float32 features that carry no gradient history."""

    def solve(self, samples: Iterable[Samples]) -> HeldOut | None:
        """Fits what needs no gradient, before the first step of any that do.

        Most adapters have no such part: then nothing is read. One that is `closed_form` is trained by this alone.

        Args:
            samples: every cached view of every training row, each exactly once; read again for every step of a solution.

        Returns:
            For a closed form, how well it predicts images that it left out (all views of an image together).

        Raises:
            AdapterError: there is no sample.
        """
        return None

    @classmethod
    def recipe_with(cls, changes: Mapping[str, Any]) -> Recipe:
        """The default recipe with some fields replaced.

        Raises:
            ConfigError: unknown fields or impossible values, or any field but `logit_adjustment` for a closed form; every problem
                is listed.
        """
        refused = [name for name in changes if name not in AFTERWARDS]
        if cls.closed_form and refused:
            raise ConfigError(
                f"adapter {cls.name!r} is solved in closed form: it has no {', '.join(refused)}; leave such settings out"
            )
        return cls.recipe.override(changes)

    def forward(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """Logits, or of a regression numbers in units, float32, from features of any float dtype; taps not used are ignored.

        Raises:
            AdapterError: a tap is missing or has another shape than the adapter was built for.
        """
        return self.answers(self.training_logits(features))

    def training_logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """`forward` before temperature and units: what is compared with `targets`."""
        for tap in self.taps_used:
            if tap not in features:
                raise AdapterError(f"adapter {self.name!r} reads tap {tap!r}: {did_you_mean(tap, features)}")
            if tuple(features[tap].shape[1:]) != self.taps[tap]:
                raise AdapterError(
                    f"adapter {self.name!r} was built for tap {tap!r} of shape {list(self.taps[tap])},"
                    f" these features have {list(features[tap].shape[1:])}"
                )
        # Detached, because whoever trains on live features must get no gradient into the backbone; float32, because float16
        # ends at 65504, which sums over the positions of a map exceed.
        return self.logits({tap: features[tap].detach().float() for tap in self.taps_used})

    @property
    def n_parameters(self) -> int:
        """How many numbers training changes."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


class PooledAdapter(Adapter):
    """An adapter that reads one vector a sample, which no gradient step changes.

    So the vectors of a view may be computed once for all epochs, and once for all adapters with the same options on the same
    rows: `pool` depends on nothing else, but on their labels where `solves_labels`.
    """

    @abstractmethod
    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """From float32 taps, the ones of `taps_used`; the same whether the adapter is being trained or not."""

    @abstractmethod
    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Logits from what `pool` gives: the part that is trained."""

    @property
    def mean_vector(self) -> Float[Tensor, " features"] | None:
        """The mean of `pool` over training samples, of an adapter whose logits are a sum over positions; None of any other.

        They are one where `classify` is linear, but for a constant, and `pool` doubles where the features of a tap are doubled.
        """
        return None

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """`pool`, then `classify`."""
        return self.classify(self.pool(features))


def channels(shape: tuple[int, ...]) -> int:
    """Length of the vector at one position of a tap of this shape: C of `[C]` and `[C, H, W]`, D of `[T, D]`."""
    # Tokens have their channels last, maps have them first.
    return shape[1] if len(shape) == 2 else shape[0]


def n_positions(shape: tuple[int, ...]) -> int:
    """How many vectors a tap of this shape holds for one sample."""
    return {1: 1, 2: shape[0]}.get(len(shape), math.prod(shape[1:]))


def positions(feature: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch position channels"]:
    """Any tap as a set of vectors: the cells of a map, the tokens of a sequence, or the one vector itself."""
    if feature.ndim == 4:
        return feature.flatten(2).transpose(1, 2)
    return feature if feature.ndim == 3 else feature.unsqueeze(1)


def average(feature: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch channels"]:
    """First-order pooling: the mean over positions."""
    return positions(feature).mean(dim=1)


def _shape_problems(taps: Mapping[str, tuple[int, ...]]) -> list[str]:
    if not taps:
        return ["an adapter needs at least one tap, none was given"]
    return [
        f"tap {tap!r} has shape {list(shape)}: an adapter reads [C], [T, D] or [C, H, W], with no empty axis"
        for tap, shape in taps.items()
        # The mean over no position is NaN.
        if len(shape) not in (1, 2, 3) or min(shape) < 1
    ]
