"""From logits to answers, and from labels to targets: temperature, thresholds, units, as the task of an adapter has them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from udta.adapters.standardisation import standardisation
from udta.tasks import Task

# What `Output` registers: found by training or calibration, never by `solve`.
OUTPUT_BUFFERS = ("temperature", "adjustment", "threshold", "target_mean", "target_scale")


class Output(nn.Module):
    """The part of an adapter that its task decides; what a training finds of it are buffers.

    Attributes:
        task: what is asked.
        n_classes: how many classes, labels or targets there are.
        temperature: that logits are divided by.
        adjustment: that is added to them then, by class: 0 but for a closed form with logit adjustment.
        threshold: of a task that `decides`, by label the logit, at this temperature, above which it is said to be there.
        target_mean, target_scale: of a task that is `in_units`, of the targets of the training images.
    """

    task: Task
    temperature: Tensor
    adjustment: Tensor
    threshold: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def register_outputs(self, task: Task, n_classes: int) -> None:
        """As before any training."""
        self.task, self.n_classes = task, n_classes
        # Buffers: they stand in the file and move to a device, and no step changes them.
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("adjustment", torch.zeros(n_classes))
        if task.decides:
            self.register_buffer("threshold", torch.zeros(n_classes))
        if task.in_units:
            self.register_buffer("target_mean", torch.zeros(n_classes))
            self.register_buffer("target_scale", torch.ones(n_classes))

    @torch.no_grad()
    def learn_units(self, labels: Num[Tensor, "samples ..."]) -> None:
        """Mean and scale of the targets, where the task is `in_units`, before anything is solved or a step is taken.

        Args:
            labels: of the training images.
        """
        if self.task.in_units:
            # In float64: float32 has no digits for how years or prices differ.
            mean, scale = standardisation(labels.double())
            self.target_mean.copy_(mean)
            self.target_scale.copy_(scale)

    def standardise_labels(self, labels: Num[Tensor, ...]) -> Num[Tensor, ...]:
        """Labels as training sees them: as they are, or where the task is `in_units` with mean 0 and scale 1."""
        if not self.task.in_units:
            return labels
        return ((labels.double() - self.target_mean) / self.target_scale).float()

    def targets(self, labels: Num[Tensor, "samples ..."]) -> Float[Tensor, "samples classes"]:
        """What logits are trained to be."""
        return self.task.targets(self.standardise_labels(labels), self.n_classes)

    def answers(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
        """Logits at the temperature, adjusted, or numbers in the units of the labels."""
        found = logits / self.temperature + self.adjustment
        return found * self.target_scale + self.target_mean if self.task.in_units else found

    @property
    def thresholds(self) -> Float[np.ndarray, " classes"] | None:
        """The threshold of each label, None of a task that has none."""
        return self.threshold.cpu().numpy() if self.task.decides else None

    @torch.no_grad()
    def calibrate(
        self,
        logits: Float[Tensor, "samples classes"],
        labels: Num[Tensor, "samples ..."],
        importance: Float[Tensor, " classes"],
    ) -> None:
        """The temperature, and thresholds where the task has them, from what is said of images that were left out.

        Args:
            logits: at the temperature 1.
            labels: of the same images.
            importance: how much an image of each class counts, where labels are classes.
        """
        temperature = self.task.temperature(logits, labels, importance)
        self.temperature.fill_(temperature)
        if self.task.decides:
            self.threshold.copy_(self.task.thresholds(logits / temperature, labels))
