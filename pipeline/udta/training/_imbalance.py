"""Rare classes: what a recipe makes up for them, by class, and the shares of classes that probabilities are then for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from udta.adapters import Recipe
from udta.errors import ConfigError, did_you_mean
from udta.store import Store


@dataclass(frozen=True)
class Balance:
    """What a training does by class; float32 `[classes]`, on the CPU.

    `weights` are those of samples in the loss, 1 on average over the training rows, so that no learning rate has to follow them.
    `log_prior` is added to the logits in the loss: the logarithms of the shares of classes, times the strength of logit
    adjustment (Menon et al. 2021, arXiv 2007.07314, equation 10). What is trained so, and a closed form from which it is taken
    afterwards (equation 9), speaks of classes that are equally frequent. `importance` is how much an image that was left out
    counts for the temperature, which so is one of the same shares.
    """

    weights: Float[Tensor, " classes"]
    log_prior: Float[Tensor, " classes"]
    importance: Float[Tensor, " classes"]

    @classmethod
    def of(cls, recipe: Recipe, labels: Int64[np.ndarray, " rows"], classes: Sequence[str]) -> Balance:
        """That of training rows with these labels; where a recipe asks for nothing they are not looked at."""
        if prior_of(recipe) == "training":
            return cls(torch.ones(len(classes)), torch.zeros(len(classes)), torch.ones(len(classes)))
        counts = np.bincount(labels, minlength=len(classes))
        # A class without an image has no share: nothing is added to it and nothing taken, as of the most frequent one.
        shares = np.where(counts > 0, counts / counts.max(), 1.0)
        importance = shares**-recipe.logit_adjustment
        if "balanced" in (recipe.class_weights, recipe.sampling):
            importance = 1 / shares
        elif isinstance(recipe.class_weights, tuple):
            importance = _by_class(recipe.class_weights, classes)
        importance = importance / np.average(importance, weights=counts)
        weights = np.ones(len(classes)) if recipe.class_weights == "none" else importance
        log_prior = recipe.logit_adjustment * np.log(shares)
        return cls(*(torch.from_numpy(values).float() for values in (weights, log_prior, importance)))


def prior_of(recipe: Recipe) -> str:
    """The shares of classes that probabilities are for: those of the `training` rows, `uniform` ones, or `weighted` ones."""
    if "balanced" in (recipe.class_weights, recipe.sampling) or recipe.logit_adjustment == 1:
        return "uniform"
    return "weighted" if recipe.class_weights != "none" or recipe.logit_adjustment else "training"


def check_balance(recipe: Recipe, store: Store) -> None:
    """Raises `ConfigError` where labels are no classes, and for every weight of a class that there is not."""
    if store.task != "multiclass" and prior_of(recipe) != "training":
        raise ConfigError(
            f"recipe: class_weights, sampling and logit_adjustment are of multiclass labels, and these are {store.task}"
        )
    weights = recipe.class_weights if isinstance(recipe.class_weights, tuple) else ()
    unknown = [name for name, _ in weights if name not in store.classes]
    if unknown:
        raise ConfigError(
            [f"recipe: class_weights has a class {name!r}: {did_you_mean(name, store.classes)}" for name in unknown]
        )


def _by_class(weights: Sequence[tuple[str, float]], classes: Sequence[str]) -> Float64[np.ndarray, " classes"]:
    given = dict(weights)
    return np.array([given.get(name, 1.0) for name in classes])
