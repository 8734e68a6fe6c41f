"""Train the offline backbone and write it into the package. Seeded; about two minutes on 2 cores.

python -m data.letters.train
"""

from __future__ import annotations

import string
import time

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from data.letters.render import COMPUTER_MODERN, DEJAVU, STIX, render
from udta.backbones.letters import LettersNet, save_letters_net

LETTERS = string.ascii_uppercase + string.ascii_lowercase
FONTS = (*DEJAVU, *STIX, *COMPUTER_MODERN)
SEED, BATCH, EPOCHS = 0, 128, 8
PER_LETTER, HELD_OUT_PER_LETTER = 600, 40


def dataset(per_letter: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`[n, 3, 32, 32]` uint8 and the letters' indices; the fonts take turns."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(LETTERS)), per_letter)
    images = [np.asarray(render(LETTERS[label], FONTS[index % len(FONTS)], rng)) for index, label in enumerate(labels)]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(labels)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """As `LettersNet.input_spec` says."""
    return ((images.float() / 255 - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


def accuracy(network: LettersNet, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Fraction that is right."""
    with torch.inference_mode():
        logits = torch.cat([network(normalise(part)) for part in images.split(512)])
    return (logits.argmax(1) == labels).double().mean().item()


def train() -> LettersNet:
    """One-cycle SGD with label smoothing."""
    torch.manual_seed(SEED)
    images, labels = dataset(PER_LETTER, SEED)
    network = LettersNet().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, total_steps=EPOCHS * -(-len(labels) // BATCH))
    for epoch in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = F.cross_entropy(network(normalise(images[rows])), labels[rows], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {loss.item():.3f}", flush=True)
    return network.eval()


if __name__ == "__main__":
    started = time.perf_counter()
    trained = train()
    save_letters_net(trained)
    held_out = accuracy(trained, *dataset(HELD_OUT_PER_LETTER, SEED + 1))
    print(
        f"{sum(p.numel() for p in trained.parameters()):,} parameters, {100 * held_out:.1f} % of held-out renderings,"
        f" {time.perf_counter() - started:.0f} s"
    )
