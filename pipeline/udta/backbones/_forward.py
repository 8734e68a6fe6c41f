"""Running a backbone for its taps, as fast as the device allows, and no further than the last tap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from udta.backbones._backbone import Backbone
from udta.backbones._compile import compile_between_taps
from udta.backbones._fold import fold_batchnorm
from udta.backbones._module import clone, failed_in
from udta.backbones._trace import POOLED, first_tensor, head_of
from udta.backbones.arithmetic import COMPILED, COMPUTES
from udta.backbones.reducers import Reducer
from udta.errors import BackboneError
from udta.fingerprint import TapSpec
from udta.store import BATCH_ROWS

# How the four dimensions of maps lie in memory; the first is faster for convolutions.
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class _LastTapReached(BaseException):  # it is no error, and no `except Exception` of a backbone may stop it
    """Raised by the hook of the last tap: nothing after it is computed."""


class TapForward:
    """8-bit images to stored features.

    Works on its own copy of the module: weights in the compute type and the memory format, BatchNorm folded into the convolution
    before it. Any number of threads may call it at the same time.

    Args:
        backbone: frozen.
        taps: what is kept of it, each of a module that runs once in a pass; several may be of one module, at no second pass.
        compute: `float32`, `bfloat16` or `float16`, with `+compile` for compiled code.
        device: where.
        memory_format: one of `MEMORY_FORMATS`; not every backbone gives the same in both.
        fold: whether BatchNorm is folded.

    Raises:
        BackboneError: it is not frozen or cannot be copied. When called: the module fails, with the part of it that does.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[TapSpec],
        compute: str,
        device: torch.device,
        *,
        memory_format: str = "channels_last",
        fold: bool = True,
    ) -> None:
        backbone.check_frozen()
        self.compute, self.device, self._factory = COMPUTES[compute.removesuffix(COMPILED)], device, backbone.factory
        self._compiled, self._compiling, self._ready = compute.endswith(COMPILED), threading.Lock(), False
        self._names = {tap.name for tap in taps}
        # By module, and for each of its taps what is done and how it is stored.
        self._taps: dict[str, list[tuple[str, Reducer, torch.dtype]]] = {}
        for tap in taps:
            kept = (tap.name, Reducer.parse(tap.reducer), COMPUTES.get(tap.dtype, torch.float32))
            self._taps.setdefault(tap.module, []).append(kept)
        modules = watched_modules(backbone, self._taps)
        self._format = MEMORY_FORMATS[memory_format]
        self._module = clone(backbone.module)
        # Folded before it is converted, so that the product of two weights is rounded to bf16 once.
        if fold:
            fold_batchnorm(self._module, keep=modules.values())
        _convert(self._module, device, self.compute, self._format)
        mean, std = (
            torch.tensor(values, device=device).view(1, -1, 1, 1)
            for values in (backbone.input.mean, backbone.input.std)
        )
        # (x / 255 - mean) / std as one product and one sum.
        self._scale, self._shift = 1 / (255 * std), -mean / std
        # The module and its hooks are those of all threads; what a pass keeps is its thread's own.
        self._of_thread = threading.local()
        if self._compiled:
            compile_between_taps(self._module, modules.values())
        # Hooks run around a module's `forward`, which is all that was compiled: they are never traced.
        for name, module in modules.items():
            watch(self._module.get_submodule(module), partial(self._keep, name), given=name != module)

    def __call__(self, images: UInt8[Tensor, "batch channels height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        """Features by tap on the device, `[batch, *shape of the tap]`, in the stored dtype, or in float32 where that is a code.

        Raises:
            BackboneError: the module fails on these images; the message names the part of it.
        """
        if not self._compiled:
            return self._pass(images)
        # Compiled code is for one shape, and several threads at once would each compile it.
        missing = max(0, BATCH_ROWS - len(images))
        with nullcontext() if self._ready else self._compiling:
            kept = self._pass(F.pad(images, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else images)
            self._ready = True
        return {tap: values[: len(images)] for tap, values in kept.items()} if missing else kept

    def _pass(self, images: UInt8[Tensor, "batch channels height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        with torch.inference_mode():  # here and not around a run, since it holds for the calling thread alone
            # In float32 up to here: 8-bit values minus a mean have more digits than bf16. Only pinned memory is copied
            # without waiting; from any other, `non_blocking` does no harm.
            pixels = images.to(self.device, non_blocking=True).float() * self._scale + self._shift
            kept: dict[str, Tensor] = {}
            self._of_thread.kept = kept
            try:
                self._module(pixels.to(self.compute, memory_format=self._format))
            except _LastTapReached:
                return kept
            except Exception as error:  # whatever a stranger's forward raises
                hint = "; torch.compile needs a C++ compiler, leave +compile out without one" if self._compiled else ""
                raise BackboneError(
                    f"backbone {self._factory} fails in {str(self.compute).removeprefix('torch.')} on {self.device}"
                    f"{failed_in(self._module, error)} ({type(error).__name__}: {error}){hint}"
                ) from error
        raise BackboneError(f"backbone {self._factory} ended without running {sorted(self._names - kept.keys())}")

    def _keep(self, module: str, output: Tensor) -> None:
        # Here and not after the pass: `ReLU(inplace=True)` behind the tap would change its output, so that even `none`
        # needs a copy (test_a_later_in_place_operation_does_not_change_what_was_tapped). In rows as they are stored,
        # whatever the memory format.
        kept: dict[str, Tensor] = self._of_thread.kept
        for name, reducer, dtype in self._taps[module]:
            kept[name] = reducer(output).to(dtype, copy=True, memory_format=torch.contiguous_format)
        if len(kept) == len(self._names):
            raise _LastTapReached


def watched_modules(backbone: Backbone, taps: Iterable[str]) -> dict[str, str]:
    """By the module that a tap is of, the module that is watched for it: another one where what it is given is kept."""
    # Where a module has that name, it is the one that is meant.
    pooled = POOLED in taps and POOLED not in dict(backbone.module.named_children())
    return {name: head_of(backbone) if pooled and name == POOLED else name for name in taps}


def watch(module: nn.Module, keep: Callable[[Any], None], *, given: bool) -> None:
    """Have `keep` called with what a module gives, or is `given`, whenever it runs."""

    def before(_module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        tensor = first_tensor(args, kwargs)
        assert tensor is not None  # that is how it was found
        keep(tensor)

    if given:
        module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        module.register_forward_hook(lambda _module, _inputs, output: keep(output))


def _convert(module: nn.Module, device: torch.device, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    """Device, arithmetic and memory format of all parameters and buffers, in place."""
    module.to(device=device, dtype=dtype)
    # `module.to(memory_format=...)` refuses parameters of five dimensions, those of `Conv3d`; only those of four are meant.
    module._apply(  # type: ignore[no-untyped-call]  # what `to` calls
        lambda tensor: tensor.contiguous(memory_format=memory_format) if tensor.ndim == 4 else tensor
    )
