"""What an interrupted training goes on from: weights and momenta as safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialise
from torch import nn

from udta._files.atomic import write_bytes

_FILE = "checkpoint.safetensors"


def save(work: Path, model: nn.Module, optimiser: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Write it whole or not at all."""
    tensors = {f"model.{name}": value.detach().contiguous() for name, value in model.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser.{number}.{key}": value.contiguous() for key, value in state.items() if value is not None
        }
    write_bytes(work / _FILE, serialise(tensors, metadata={"progress": json.dumps(progress)}))


def load(work: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Put the state into both and return the progress; nothing happens where there is no checkpoint."""
    if not (work / _FILE).exists():
        return {}
    with safe_open(work / _FILE, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    model.load_state_dict(
        {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress
