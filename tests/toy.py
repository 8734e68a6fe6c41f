"""A small backbone and small photographs, for tests: `toy:net` is a factory as a user would write one."""

import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

CLASSES = ("bird", "cat", "dog")


class ToyNet(nn.Module):
    """Three stages on 16 x 16 pixels; `nan` makes it give NaN for images that are black, `loud` enlarges those that are white.

    `deaths` is a folder: for every file in it, one process that computes a batch takes it away and kills itself (or sends itself
    the signal that stands in it).
    """

    input_spec = {"evaluate": "resize(16,16)", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    def __init__(self, width=8, nan=False, deaths=None, loud=None):
        super().__init__()
        self.nan, self.deaths, self.loud = nan, deaths, loud
        self.stage1 = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.stage2 = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True)
        )
        self.head = nn.Linear(2 * width, 4)

    def forward(self, images):
        if self.deaths and len(images) > 2:  # looking for taps takes two
            die_once(Path(self.deaths))
        if self.nan:
            black = images.flatten(1).amax(1) < -0.99
            images = torch.where(black[:, None, None, None], torch.nan, images)
        if self.loud:
            white = images.flatten(1).amin(1) > 0.99
            images = torch.where(white[:, None, None, None], images * self.loud, images)
        return self.head(self.stage2(self.stage1(images)).mean((2, 3)))


def die_once(deaths):
    for death in deaths.iterdir():
        try:
            fate = int(death.read_text() or signal.SIGKILL)
            death.unlink()
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), fate)


def net(width=8, nan=False, deaths=None, loud=None):
    return ToyNet(width, nan, deaths, loud)


def channels_net(channels=1):
    """Takes images of so many channels, each with a mean and a deviation of its own."""
    made = ToyNet()
    made.stage1[0] = nn.Conv2d(channels, 8, 3, padding=1, bias=False)
    values = [0.1 + 0.8 * channel / channels for channel in range(channels)]
    made.input_spec = {**ToyNet.input_spec, "mean": values, "std": values[::-1]}
    return made


def careless(width=8):
    """A factory that does to its process what factories of others do."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return ToyNet(width)


def put(root, *names):
    """Files of these names that hold no images: what readers list is decided before any is decoded."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name}".encode())
    return root


def photographs(root: Path, per_class=8, classes=CLASSES, size=(24, 20), seed=0):
    """Noise on a colour of its class, as PNG, so that a classifier has something to learn."""
    rng = np.random.default_rng(seed)
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            colour = np.zeros(3)
            colour[index % 3] = 120
            pixels = (rng.uniform(0, 100, (*size, 3)) + colour).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03d}.png")
    return root
