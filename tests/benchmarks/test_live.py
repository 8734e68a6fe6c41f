"""The live rivals: what they train, what they leave alone, that an interrupted training ends as an uninterrupted one."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.live import RIVALS, harness
from benchmarks.live import __main__ as tuning
from benchmarks.live.__main__ import RESULTS
from benchmarks.live.flops import count
from benchmarks.live.photographs import AUGMENT, EVALUATE, Photographs, held_out
from benchmarks.live.rival import LiveRecipe, Network, Rival
from udta.backbones import build_backbone
from udta.images import EncodedImage, Transform, ViewSpec

FACTORY = "torchvision.models.quantization:mobilenet_v2?quantize=false"


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(FACTORY)


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8))


@pytest.fixture(scope="module")
def photographs(photos):
    return Photographs(photos)


class Small(nn.Module):
    """Colours to logits, with dropout, so that a resumed training needs the same random numbers."""

    def __init__(self, n_classes):
        super().__init__()
        self.classify = nn.Sequential(nn.Dropout(0.2), nn.Linear(3, n_classes))

    def forward(self, images):
        return self.classify(images.float().mean(dim=(2, 3)) / 255)


SMALL = Rival("small", lambda backbone, n_classes: Small(n_classes), LiveRecipe(lr=0.1, epochs=3, batch_size=4))


def test_epochs_are_the_views_of_a_store(photographs):
    spec = ViewSpec(5, 0, Transform.parse(EVALUATE), Transform.parse(AUGMENT))
    sample = photographs.manifest.sample(7)
    expected = spec.view(EncodedImage(sample.read(), sample.id), sample.sha256, 4)
    (images, labels), *others = photographs.batches([7, 2, 5], 4, 2)
    assert (images[0].permute(1, 2, 0).numpy() == expected).all()
    assert labels.tolist() == photographs.labels[[7, 2]].tolist()
    assert [len(labels) for _, labels in others] == [1]


def test_learning_rates_see_training_images_alone(photographs):
    kept, out = held_out(photographs)
    assert sorted([*kept, *out]) == photographs.rows("train").tolist()
    assert set(photographs.labels[out]) == set(range(photographs.n_classes))
    assert 0.2 < len(out) / (len(kept) + len(out)) <= 0.4


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(photographs, tmp_path, monkeypatch, optimiser):
    recipe = (
        SMALL.recipe if optimiser == "sgd" else replace(SMALL.recipe, optimiser=RIVALS["udta_live"].recipe.optimiser)
    )
    rows = photographs.rows("train")
    whole, progress = harness.train(SMALL, recipe, None, photographs, rows, tmp_path / "whole")

    def interrupted(*arguments):
        saved(*arguments)
        raise KeyboardInterrupt

    saved = harness.save
    monkeypatch.setattr(harness, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        harness.train(SMALL, recipe, None, photographs, rows, tmp_path / "parts")
    monkeypatch.setattr(harness, "save", saved)
    resumed, after = harness.train(SMALL, recipe, None, photographs, rows, tmp_path / "parts")
    assert after.losses == progress.losses
    assert all(torch.equal(one, resumed.state_dict()[name]) for name, one in whole.state_dict().items())


def test_training_learns_and_accuracies_are_by_number_of_views(photographs, tmp_path):
    model, progress = harness.train(
        SMALL, replace(SMALL.recipe, epochs=12), None, photographs, photographs.rows("train"), tmp_path
    )
    metrics = harness.evaluate(model, photographs, photographs.rows("test"), [0, 1, 2])
    assert progress.losses[-1] < progress.losses[0]
    assert list(metrics["top1_by_views"]) == ["1", "2", "3"]
    assert metrics["top1_by_views"]["1"] == metrics["top1"]
    assert metrics["top1_by_views"]["3"] == metrics["top1_views"]


def test_the_trainable_network_is_the_backbone_but_for_its_last_layer(backbone, images):
    network = Network(backbone, 5).eval()
    network.body.classifier[-1] = backbone.module.classifier[-1]
    pixels = (images.float() / 255 - network.mean) / network.std
    with torch.inference_mode():
        torch.testing.assert_close(network(images), backbone.module(pixels), atol=1e-4, rtol=1e-4)
    assert not [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", ["residual_adapters", "lora"])
def test_branches_start_at_nothing_and_alone_are_trained(backbone, images, name):
    torch.manual_seed(0)
    network = RIVALS[name].build(backbone, 5).eval()
    plain = Network(backbone, 5).eval()
    plain.body.classifier[-1] = network.body.classifier[-1]
    with torch.inference_mode():
        torch.testing.assert_close(network(images), plain(images), atol=1e-4, rtol=1e-4)
    trained = [key for key, each in network.named_parameters() if each.requires_grad]
    assert all(".branch." in key or "classifier" in key for key in trained)
    torch.autograd.backward(network(images).sum())
    reached = [
        network.get_parameter(key).grad.abs().sum() > 0 for key in trained if "branch.1" in key or name != "lora"
    ]
    assert reached
    assert all(reached)


@pytest.mark.parametrize("name", ["last_layer", "udta_live"])
def test_heads_on_live_taps_leave_the_backbone_without_a_gradient(backbone, name):
    before = backbone.weights
    model = RIVALS[name].build(backbone, 5).train()
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    torch.autograd.backward(model(images).square().sum() + model(images).sum())
    assert all(each.grad is None for each in backbone.module.parameters())
    assert backbone.weights == before
    assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in model.parameters())


def test_fine_tuning_trains_everything(backbone):
    assert all(each.requires_grad for each in RIVALS["fine_tuning"].build(backbone, 5).parameters())


def test_operations_of_a_depthwise_convolution_by_hand():
    model = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Flatten(), nn.Linear(6 * 8 * 8, 4))
    images = torch.zeros(2, 6, 8, 8, requires_grad=True)
    counted = count(lambda: model(images), 2)
    convolution, linear = 2 * 9 * 6 * 8 * 8, 2 * 4 * 6 * 8 * 8
    assert counted["forward_flops"] == convolution + linear
    assert counted["backward_flops"] == 2 * (convolution + linear)
    assert counted["backward_flops_torch"] > counted["backward_flops"]


HELD = {0.001: 0.4, 0.003: 0.6, 0.01: 0.7, 0.03: 0.8, 0.1: 0.8}


def test_rates_go_up_until_the_best_is_not_the_largest(monkeypatch):
    tried = []

    def figures(rival, rate, *others):
        tried.append(rate)
        return {"top1": HELD[rate], "loss": rate, "device": "cpu"}

    monkeypatch.setattr(tuning, "held_out_figures", figures)
    earlier = {f"{rate:g}": {"food": {"top1": HELD[rate], "loss": rate}} for rate in (0.001, 0.003, 0.01)}
    found = tuning.tune(RIVALS["fine_tuning"], None, Path(), ["food"], 6, Path(), "cpu", earlier)
    assert found["lr"] == 0.03  # as accurate as 0.1, with less loss
    assert tried == [0.03, 0.1]
    assert list(found["held_out"]) == ["0.001", "0.003", "0.01", "0.03", "0.1"]


def test_a_settled_grid_is_not_tried_again():
    document = json.loads((RESULTS / "fine_tuning-flowers.json").read_text())
    held = document["tuning"]["held_out"]
    found = tuning.tune(RIVALS["fine_tuning"], None, Path(), ["flowers"], 6, Path(), "cpu", held)
    assert found["lr"] == document["recipe"]["lr"]
    assert found["held_out"] == held


def test_a_set_is_trained_again_only_where_another_rate_is_the_best(monkeypatch, tmp_path):
    """Its tuning is kept before the training, which may take hours."""
    for name, rate in (("food", 0.01), ("birds", 0.03)):
        (tmp_path / f"fine_tuning-{name}.json").write_text(
            json.dumps({"recipe": {"lr": 0.01}, "metrics": [], "tuning": {"lr": rate, "held_out": {}}})
        )
    trained = []

    def tune(rival, network, real, sets, *others):
        return {"lr": {"food": 0.01, "birds": 0.03}[sets[0]], "held_out": {}}

    def measure(rival, tuning, network, folder, *others):
        trained.append(folder.name)
        return {"recipe": {"lr": tuning["lr"]}, "metrics": [], "tuning": tuning}

    monkeypatch.setattr(tuning, "RESULTS", tmp_path)
    monkeypatch.setattr(tuning, "tune", tune)
    monkeypatch.setattr(tuning, "measure", measure)
    monkeypatch.setattr(tuning, "backbone", lambda real: None)
    monkeypatch.setenv("UDTA_REAL_DATA", str(tmp_path))
    arguments = ["live", "fine_tuning", "--sets", "food,birds", "--tune-sets", "food,birds", "--work", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    tuning.main()
    tuning.main()
    assert trained == ["birds"]
