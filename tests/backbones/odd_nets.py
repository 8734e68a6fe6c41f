"""Backbones that plain torch runs, written as people write them, each with something that has broken a feature cache."""

import warnings

import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from torch import nn

from udta.backbones import Backbone, InputSpec

SIDE = 16


class Net(nn.Module):
    """Two stages and a head; variants change one thing."""

    def __init__(self):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.stage2(self.stage1(x)).mean((2, 3)))


class View(Net):
    """Flattens a map with `view`, which needs it contiguous."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8 * 64, 4)

    def forward(self, x):
        x = self.stage2(self.stage1(x))
        return self.head(x.view(x.size(0), -1))


class Strides(Net):
    """Goes by the strides that a contiguous map has."""

    def forward(self, x):
        x = self.stage1(x)
        _, channels, height, width = x.shape
        x = torch.as_strided(x, x.shape, (channels * height * width, height * width, width, 1))
        return self.head(self.stage2(x).mean((2, 3)))


class OldWeightNorm(Net):
    """torch.nn.utils.weight_norm: after a pass its weight is the result of a computation, which `deepcopy` refuses."""

    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, and in many a checkpoint
            self.stage1[0] = nn.utils.weight_norm(self.stage1[0])
            self.stage2[0] = nn.utils.spectral_norm(self.stage2[0])


class Parametrized(Net):
    """The same in the new way."""

    def __init__(self):
        super().__init__()
        self.stage1[0] = nn.utils.parametrizations.weight_norm(self.stage1[0])
        self.stage2[0] = nn.utils.parametrizations.spectral_norm(self.stage2[0])


class Conv3d(Net):
    """A parameter of five dimensions."""

    def __init__(self):
        super().__init__()
        self.deep = nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x):
        x = self.deep(self.stage1(x)[:, None]).mean(1)
        return self.head(self.stage2(x).mean((2, 3)))


class Tied(Net):
    """Uses the weight of a convolution, whose BatchNorm could be folded into it, a second time."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.norm(self.first(x))
        return super().forward(F.conv_transpose2d(x, self.first.weight, padding=1))


class Dictionary(Net):
    """Stages that return a dictionary and a tuple."""

    class Stage(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            x = self.inner(x)
            return {"map": x, "sizes": (x.shape, None)}

    def __init__(self):
        super().__init__()
        self.both = self.Stage(self.stage1)
        del self.stage1

    def forward(self, x):
        return {"logits": self.head(self.stage2(self.both(x)["map"]).mean((2, 3)))}


class Twice(Net):
    """Runs a stage two times."""

    def __init__(self):
        super().__init__()
        self.again = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))

    def forward(self, x):
        x = self.again(self.again(self.stage1(x)))
        return self.head(self.stage2(x).mean((2, 3)))


class InPlace(Net):
    """Changes what a stage returned in place."""

    def forward(self, x):
        x = self.stage1(x)
        x.mul_(2).sub_(1)
        return self.head(self.stage2(x).mean((2, 3)))


class Dropout(Net):
    """Is random in evaluation mode."""

    def forward(self, x):
        return self.head(self.stage2(F.dropout(self.stage1(x), 0.5)).mean((2, 3)))


class BatchStatistics(Net):
    """Its BatchNorm takes the statistics of the batch."""

    def __init__(self):
        super().__init__()
        self.stage2[1] = nn.BatchNorm2d(8, track_running_stats=False)


class FirstCall(Net):
    """Makes a buffer and an ordinary tensor in its first pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("ramp", None)
        self.shift = None

    def forward(self, x):
        x = self.stage1(x)
        if self.ramp is None:
            self.ramp = torch.linspace(0, 1, x.shape[-1]).to(x)
            self.shift = x.new_full((1, x.shape[1], 1, 1), 0.5)
        return self.head(self.stage2(x * self.ramp + self.shift).mean((2, 3)))


class Autocast(Net):
    """Computes a part in bfloat16."""

    def forward(self, x):
        x = self.stage1(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            x = self.stage2(x)
        return self.head(x.float().mean((2, 3)))


class Lazy(Net):
    """Has a layer whose size its first pass would decide."""

    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that lazy modules are new
            self.head = nn.LazyLinear(4)


class Uncopyable(Net):
    """Holds what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.stream = (number for number in range(3))


def backbone(kind):
    """Frozen, with statistics of BatchNorm that folding has to take into account."""
    torch.manual_seed(0)
    module = kind()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    module.eval().requires_grad_(False)
    return Backbone(module, f"odd:{kind.__name__}", InputSpec(f"resize({SIDE},{SIDE})"))
