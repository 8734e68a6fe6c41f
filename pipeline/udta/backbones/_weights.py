"""Loading weights without ever running what is in the file."""

from __future__ import annotations

import pickle
import pickletools
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from udta.errors import WeightsError

_SHOWN = 3
# Training scripts wrap the state dict, and DataParallel prefixes its keys.
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIX = "module."


def load_weights(
    module: nn.Module,
    path: Path,
    adapt: Callable[[nn.Module, Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None,
) -> None:
    """Fill every parameter and buffer of `module` from a file, strictly.

    Args:
        module: any.
        path: a file that `torch.load(weights_only=True)` reads, or `.safetensors`.
        adapt: makes of what is in the file what the module has, such as position embeddings of its size.

    Raises:
        WeightsError: no such file, one that holds something else or would run code, keys or shapes that differ.
    """
    expected = module.state_dict()
    # Unless the module has a part called `module` itself, whose keys begin so by right.
    state = {
        name if name in expected else name.removeprefix(_PREFIX): tensor for name, tensor in read_weights(path).items()
    }
    state = state if adapt is None else dict(adapt(module, state))
    problems = [
        *listing("missing in the file", expected.keys() - state.keys() - _counters(expected)),
        *listing("not in the backbone", state.keys() - expected.keys()),
        *listing(
            "of another shape",
            (
                f"{name} {list(state[name].shape)} instead of {list(expected[name].shape)}"
                for name in expected.keys() & state.keys()
                if state[name].shape != expected[name].shape
            ),
        ),
    ]
    # All three lists: a few missing keys say "another version", hundreds say "another network".
    if problems:
        raise WeightsError(
            "\n".join([f"{path} does not fit this backbone; is it the weights of another network?", *problems])
        )
    module.load_state_dict(state, strict=False)  # all that `strict` looks at was looked at above, but for the counters


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by name. Raises `WeightsError`: no such file, one that holds something else or would run code."""
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols; what cannot be read is an error below
            # `weights_only` reads tensors and plain containers with an unpickler of its own, which calls nothing outside
            # torch's list. To the CPU, since most files were written from a GPU that is not here.
            document = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch names the opcode for archives of its own; a plain pickle may stop it earlier, and is looked into.
        if "GLOBAL" in str(error) or _names_code(path):
            raise WeightsError(
                f"{path}: refused, because loading it would run code that is in the file; save a plain state_dict: "
                "torch.save(model.state_dict(), path)"
            ) from error
        raise WeightsError(f"{path}: not a weights file, or a damaged one") from error
    except Exception as error:  # damaged files raise anything: IndexError, struct.error, AssertionError, ...
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path}: a TorchScript archive, which holds code; save its weights alone: "
                "torch.save(torch.jit.load(path).state_dict(), other_path)"
            ) from error
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{path}: not a weights file, or cut short ({reason})") from error
    return _state_dict(document, path)


def _names_code(path: Path) -> bool:
    """Whether a bare pickle asks for something to be imported; its opcodes are only listed, never run."""
    try:
        return any(opcode.name in ("GLOBAL", "STACK_GLOBAL") for opcode, _, _ in pickletools.genops(path.read_bytes()))
    except (ValueError, IndexError, UnicodeDecodeError):
        return False


def _state_dict(document: object, path: Path) -> Mapping[str, Tensor]:
    if isinstance(document, Mapping):
        for wrapper in _WRAPPERS:
            if isinstance(document.get(wrapper), Mapping):
                return _state_dict(document[wrapper], path)
        if document and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in document.items()):
            return document
    raise WeightsError(f"{path}: holds {type(document).__name__}, not a state_dict of tensors")


def _counters(state: Mapping[str, Tensor]) -> set[str]:
    """BatchNorm's `num_batches_tracked`: old files lack it, and it has no effect in evaluation mode."""
    return {name for name in state if name.endswith("num_batches_tracked")}


def listing(what: str, names: Iterable[str]) -> list[str]:
    """A line of an error about some keys: how many, and the first of them; none where there are none."""
    found = sorted(names)
    more = ", ..." if len(found) > _SHOWN else ""
    return [f"  {len(found)} key(s) {what}: {', '.join(found[:_SHOWN])}{more}"] if found else []
