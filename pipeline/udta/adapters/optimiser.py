"""How every training here takes a step: the gradient clipped, AdamW, the learning rate in one cycle.

One adapter is trained with it, many side by side in a sweep, and the directions of second-order taps beside a linear layer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adamw import adamw

from udta.adapters.base import Recipe

WARM_UP, START = 0.2, 0.04
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # the defaults of torch
# Beside the norm that a gradient is divided by, as in `torch.nn.utils.clip_grad_norm_`: of no gradient at all nothing is made.
_NO_NORM = 1e-6


def one_cycle(progress: float) -> float:
    """The learning rate as a fraction of its peak, at `progress` from 0 to 1: a rise over the first fifth, then a cosine to 0.

    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120, with a cosine as in most implementations.
    """
    if progress < WARM_UP:
        return START + (1 - START) * progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))


class Optimiser:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2) as recipes ask, for one adapter or for many of one shape.

    Args:
        parameters: what is trained, by name: leaves that get a gradient. Where `vectorised`, adapters are their first axis.
        recipes: of each adapter; they give the peak of the learning rate, the weight decay, and the norm that its whole gradient
            is clipped to.
        vectorised: whether the parameters are of as many adapters as there are recipes; otherwise they are of a single one.
        rates: by name, how many times the learning rate of the recipe a parameter has; 1 by default.

    Attributes:
        first, second: the moments by parameter, of its shape.
        steps: how many were taken.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        recipes: Sequence[Recipe],
        *,
        vectorised: bool = False,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        self.first = {name: torch.zeros_like(value.detach()) for name, value in parameters.items()}
        self.second = {name: torch.zeros_like(value.detach()) for name, value in parameters.items()}
        self.steps, self._vectorised, self._rates = 0, vectorised, dict(rates or {})
        self._train(parameters, recipes)

    def pick(self, kept: Sequence[int], parameters: Mapping[str, Tensor]) -> None:
        """Go on with these adapters alone, whose `parameters` are now these; the moments of all others are forgotten."""
        index = list(kept)
        self.first = {name: values[index] for name, values in self.first.items()}
        self.second = {name: values[index] for name, values in self.second.items()}
        self._train(parameters, [self._recipes[number] for number in index])

    @torch.no_grad()
    def step(self, progress: Sequence[float]) -> None:
        """One update from the gradients, which are used up.

        Args:
            progress: how much of its training each adapter has behind it, from 0 to 1; see `one_cycle`.
        """
        self.steps += 1
        gradients = {name: value.grad for name, value in self._parameters.items() if value.grad is not None}
        self._clip(gradients)
        shares = [one_cycle(each) for each in progress]
        # The kernel has one rate and one decay a call. So what agrees in both goes into one: a single adapter takes two calls,
        # and a chunk of 32 that are seeds of a few recipes hardly more, where a GPU would wait for 64.
        calls: dict[tuple[float, float], list[tuple[Tensor, ...]]] = defaultdict(list)
        for name, gradient in gradients.items():
            rate = self._rates.get(name, 1.0)
            for recipe, share, own, part in zip(
                self._recipes, shares, self._parts[name], self._by_adapter(gradient), strict=True
            ):
                # Biases, gates and BatchNorm's scales are not decayed: shrinking them regularises nothing.
                decay = recipe.weight_decay if own[0].ndim > 1 else 0.0
                calls[rate * recipe.lr * share, decay].append((own[0], part, *own[1:]))
        for (rate, decay), tensors in calls.items():
            self._update(rate, decay, *map(list, zip(*tensors, strict=True)))
        for value in self._parameters.values():
            value.grad = None

    def state(self, number: int) -> dict[str, Tensor]:
        """The moments of one adapter; with `steps` they are all that it goes on from."""
        return {
            f"{moment}/{name}": self._by_adapter(values)[number]
            for moment, every in (("first", self.first), ("second", self.second))
            for name, values in every.items()
        }

    def load(self, number: int, state: Mapping[str, Tensor], steps: int) -> None:
        """The inverse of `state`."""
        for name, values in self.state(number).items():
            values.copy_(state[name])
        self._count(steps)

    def _train(self, parameters: Mapping[str, Tensor], recipes: Sequence[Recipe]) -> None:
        self._parameters, self._recipes = dict(parameters), list(recipes)
        device = next(iter(parameters.values())).device
        self._limits = torch.tensor([recipe.clip for recipe in recipes], device=device)
        # Of its own for each, because `adamw` counts the step in every one that it is given; on the device, as it wants them.
        self._steps = {name: torch.zeros(len(recipes), device=device) for name in parameters}
        self._count(self.steps)
        self._parts = {
            name: list(
                zip(
                    *map(self._by_adapter, (value.detach(), self.first[name], self.second[name])),
                    self._steps[name].unbind(),
                    strict=True,
                )
            )
            for name, value in parameters.items()
        }

    def _count(self, steps: int) -> None:
        self.steps = steps
        for each in self._steps.values():
            each.fill_(steps)

    def _by_adapter(self, values: Tensor) -> Sequence[Tensor]:
        """Views, in one piece each: adapters are the first axis, so that an adapter's numbers lie next to each other."""
        return values.unbind() if self._vectorised else (values,)

    def _clip(self, gradients: Mapping[str, Tensor]) -> None:
        """Each adapter's whole gradient to its own norm, in the order of `clip_grad_norm_` and so to the same bits."""
        norms = [
            torch.linalg.vector_norm(gradient.reshape(len(self._recipes), -1), dim=1) for gradient in gradients.values()
        ]
        total: Float[Tensor, " adapters"] = torch.linalg.vector_norm(torch.stack(norms, dim=1), dim=1)
        # Times the reciprocal, because torch divides a number by a tensor so. One factor for all, also where it is 1: to ask
        # whether it is would make a GPU wait.
        factors = ((total + _NO_NORM).reciprocal() * self._limits).clamp_max(1.0)
        for gradient in gradients.values():
            axes = gradient.ndim - 1 if self._vectorised else gradient.ndim
            gradient.mul_(factors.view(-1, *[1] * axes) if self._vectorised else factors[0])

    @staticmethod
    def _update(
        rate: float,
        decay: float,
        values: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        steps: list[Tensor],
    ) -> None:
        # The function, not `torch.optim.AdamW`: that imports torch._dynamo, which takes 1.8 s.
        adamw(
            values,
            gradients,
            first,
            second,
            [],
            steps,
            fused=True,  # one pass over the memory instead of one an operation
            amsgrad=False,
            beta1=BETA1,
            beta2=BETA2,
            lr=rate,
            weight_decay=decay,
            eps=EPSILON,
            maximize=False,
        )
