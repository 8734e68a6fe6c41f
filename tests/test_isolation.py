"""Nothing that training does reaches a backbone: no gradient, no byte, and features that could not carry one."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from toy import ToyNet

import udta
from udta.adapters import ADAPTERS, Adapter, build_adapter
from udta.training.loop import fit

TAPS = {"stage1": (8, 16, 16), "stage2": (16, 8, 8)}


@dataclass
class LiveBatch:
    taps: dict[str, Tensor]
    labels: Tensor
    rows: Tensor


@dataclass
class LiveSource:
    """Features straight from a backbone that could be trained, with their history: all that isolation rests on is the adapter."""

    backbone: ToyNet

    def __len__(self):
        return 2

    def __iter__(self):
        for batch in range(len(self)):
            generator = torch.Generator().manual_seed(batch)
            early = self.backbone.stage1(torch.randn(12, 3, 16, 16, generator=generator))
            taps = {"stage1": early, "stage2": self.backbone.stage2(early)}
            assert not torch.is_grad_enabled() or all(values.requires_grad for values in taps.values())
            yield LiveBatch(taps, torch.arange(12) % 3, torch.arange(12) + 12 * batch)


@dataclass
class Before:
    """The bytes of a module, to compare with later."""

    module: torch.nn.Module

    def __post_init__(self):
        self.bytes = self.read()

    def read(self):
        return {name: value.numpy(force=True).tobytes() for name, value in self.module.state_dict().items()}

    def check(self):
        assert self.read() == self.bytes
        assert all(parameter.grad is None for parameter in self.module.parameters())


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_a_live_backbone_that_could_be_trained_is_not(name):
    torch.manual_seed(0)
    backbone = ToyNet().eval()
    before, source = Before(backbone), LiveSource(backbone)
    adapter = build_adapter(name, TAPS, 3)
    fit(adapter, source, recipe=adapter.recipe.override({"epochs": 3, "mixup": 0.2}), every_view=source)
    before.check()


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_stored_features_carry_no_history(monkeypatch, toy_store, tmp_path, name):
    """And the backbone that made them, alive in the same process, stays frozen and as it was."""
    backbone = ToyNet().eval().requires_grad_(False)
    before, seen, forward = Before(backbone), [], Adapter.forward

    def watched(self, features):
        seen.extend(features.values())
        return forward(self, features)

    monkeypatch.setattr(Adapter, "forward", watched)
    recipe = {} if ADAPTERS[name].closed_form else {"epochs": 3, "batch_size": 8, "mixup": 0.2}
    udta.train(toy_store, out=tmp_path / "run", adapter=name, recipe=recipe)
    assert seen
    assert not any(values.requires_grad or values.grad_fn is not None for values in seen)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    before.check()


def test_what_a_start_can_do_without_is_not_imported():
    """torchvision brings torch._dynamo with it, two of five seconds; SciPy and scikit-learn are for a few calls."""
    code = "import sys, udta.extraction.extract, udta.training.train, udta.prediction.predict; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torchvision", "torch._dynamo", "timm", "transformers", "open_clip", "huggingface_hub", "scipy", "sklearn"}
    assert not heavy & set(done.stdout.split())
