"""Learned directions against a training that sees the maps themselves."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from udta.adapters import directions
from udta.adapters.base import Recipe
from udta.adapters.covariance import matrix_sqrt, thin_covariance, upper_triangle
from udta.adapters.directions import learn_turns
from udta.adapters.linear import LinearProbe
from udta.adapters.optimiser import one_cycle
from udta.adapters.samples import Gathered
from udta.tasks import find_task

RECIPE = Recipe(epochs=1, batch_size=4)
MULTICLASS = find_task("multiclass")


@pytest.fixture
def maps():
    """Ten images in two views; positions of two thin maps."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(20, 9, k, generator=generator) @ torch.randn(k, k, generator=generator) for k in (3, 4)]


def gathered(maps, averages):
    triangles = [thin_covariance(x, torch.eye(x.shape[2])).flatten(1)[:, upper_triangle(x.shape[2])] for x in maps]
    images = torch.arange(10).repeat_interleave(2)
    return Gathered(torch.cat([averages, *triangles], dim=1), images % 2, images)


def test_turning_covariances_is_training_directions_on_the_maps(maps, monkeypatch):
    batches = [torch.arange(start, start + 4) for start in (0, 4, 8, 12, 1)]
    monkeypatch.setattr(directions, "_batches", lambda images, size: iter(batches))
    averages = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    found = gathered(maps, averages)
    turns = learn_turns(found, 5, [3, 4], MULTICLASS, MULTICLASS.targets(found.labels, 2), RECIPE)

    probe, weights = LinearProbe(5 + 6 + 10, 2), [torch.eye(k, requires_grad=True) for k in (3, 4)]
    layer = probe.classify
    groups = [
        {"params": [layer.weight], "lr": RECIPE.lr},
        {"params": [layer.bias], "lr": RECIPE.lr, "weight_decay": 0.0},
        {"params": weights, "lr": directions.RATE * RECIPE.lr},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=RECIPE.weight_decay)
    peaks = [group["lr"] for group in groups]
    for step, batch in enumerate(batches):
        vectors = [averages[batch]]
        for x, weight in zip(maps, weights, strict=True):
            thin = x[batch] @ F.normalize(weight, dim=1).T
            covariance = torch.stack([torch.cov(sample.T, correction=0) for sample in thin])
            vectors.append(matrix_sqrt(covariance).flatten(1)[:, upper_triangle(x.shape[2])])
        logits = probe(torch.cat(vectors, dim=1))
        loss = F.cross_entropy(logits, found.labels[batch], label_smoothing=RECIPE.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*probe.parameters(), *weights], RECIPE.clip)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * one_cycle(step / len(batches))
        optimiser.step()
    for turn, weight in zip(turns, weights, strict=True):
        assert (turn - torch.eye(len(turn))).abs().max() > 1e-3
        torch.testing.assert_close(turn, F.normalize(weight, dim=1).detach(), rtol=1e-3, atol=1e-4)


def test_rows_have_unit_length_and_the_random_state_of_the_caller_does_not_matter(maps):
    found, turns = gathered(maps, torch.zeros(20, 1)), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        turns.append(learn_turns(found, 1, [3, 4], MULTICLASS, MULTICLASS.targets(found.labels, 2), RECIPE))
        assert torch.initial_seed() == seed
    for first, second in zip(*turns, strict=True):
        torch.testing.assert_close(first.norm(dim=1), torch.ones(len(first)))
        assert torch.equal(first, second)
        assert not first.requires_grad


def test_every_epoch_takes_every_image_once_in_any_of_its_views():
    images = torch.tensor([0, 0, 0, 3, 5, 5, 8])
    torch.manual_seed(0)
    batches = list(directions._batches(images, 3))
    assert [len(batch) for batch in batches] == [3] * directions.EPOCHS  # a single sample is left over and out
    monotone = list(directions._batches(images, 4))
    seen = [sorted(images[batch].tolist()) for batch in monotone]
    assert seen == [[0, 3, 5, 8]] * directions.EPOCHS
    assert len(set(torch.cat(monotone).tolist())) > 4
