"""The linear probe: standardised average of the last tap, one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from udta.adapters.base import PooledAdapter, Recipe, average, channels

# The width at which the recipe of `linear` was chosen, and the largest gain that was tried and no worse.
_CHOSEN_AT, _LARGEST_GAIN = 1280, 8.0


class LinearProbe(nn.Module):
    """Standardise every feature over the batch, then one linear layer that starts at zero, that is at uniform logits.

    The standardisation has no learned scale: a scale beside a linear layer would only weaken its weight decay.

    Args:
        n_features: how many numbers a sample has.
        n_classes: width of the logits.
        gain: what standardised features are multiplied with. Steps of AdamW have a size of their own, so this is the same layer
            at `gain` times the learning rate and a `gain`-th of the weight decay.
    """

    def __init__(self, n_features: int, n_classes: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        # Of the batch in training, running means afterwards; `torch.var` of one sample is NaN, so batches have two at least.
        self.standardise = nn.BatchNorm1d(n_features, affine=False)
        self.classify = zero_linear(n_features, n_classes)

    def forward(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        logits: Tensor = self.classify(self.gain * self.standardise(features))
        return logits

    @property
    def mean(self) -> Float[Tensor, " features"]:
        """Of the features over training batches, which is what evaluation standardises by."""
        mean = self.standardise.running_mean
        assert mean is not None  # it is kept unless asked otherwise
        return mean


def narrow_gain(n_features: int) -> float:
    """The gain at which one recipe suits few features as it suits many: logits are sums over features of steps alike in size.

    Figures: docs/family.md.
    """
    return min(max(_CHOSEN_AT / n_features, 1.0), _LARGEST_GAIN)


def zero_linear(n_features: int, n_classes: int) -> nn.Linear:
    """A linear layer whose weight and bias start at zero; the gradient of a softmax loss with respect to them does not."""
    layer = nn.Linear(n_features, n_classes)
    # So the initial draw of `nn.Linear` decides nothing, and seeds differ by order and views alone.
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Linear(PooledAdapter):
    """`linear`: the last tap's average -> standardisation -> linear. The reference that every adapter is compared with."""

    name: ClassVar[str] = "linear"
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=30.0)

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        n_features = channels(self.taps[self.taps_used[0]])
        self.probe = LinearProbe(n_features, n_classes, narrow_gain(n_features))

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The deepest tap alone."""
        return (list(self.taps)[-1],)  # taps are in execution order

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """The average of the deepest tap."""
        return average(features[self.taps_used[0]])

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """The probe."""
        logits: Tensor = self.probe(vectors)
        return logits

    @property
    def mean_vector(self) -> Float[Tensor, " features"]:
        """That of the probe."""
        return self.probe.mean
