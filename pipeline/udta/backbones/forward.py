"""Running a backbone for its taps, as fast as the device allows, and no further than the last tap."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, UInt8
from torch import Tensor

from udta.backbones.backbone import Backbone
from udta.backbones.compiling import compile_between_taps
from udta.backbones.compute import COMPILED, COMPUTES
from udta.backbones.fold import fold_batchnorm
from udta.backbones.reducers import Reducer
from udta.errors import BackboneError
from udta.fingerprint import TapSpec
from udta.store import BATCH_ROWS


class _LastTapReached(BaseException):  # it is no error, and no `except Exception` of a backbone may stop it
    """Raised by the hook of the last tap: nothing after it is computed."""


class TapForward:
    """8-bit images to stored features.

    Works on its own copy of the module: channels_last, BatchNorm folded into the convolution before it, weights in the compute
    type. Reduction happens inside the hook and in float32, so that a later in-place operation (`ReLU(inplace=True)`) cannot
    change what was tapped and an average is not rounded to bf16 first. Any number of threads may call it at the same time.

    Raises:
        BackboneError: the module cannot run in this arithmetic.
    """

    def __init__(self, backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device) -> None:
        backbone.check_frozen()
        self.compute, self.device, self._factory = COMPUTES[compute.removesuffix(COMPILED)], device, backbone.factory
        self._compiled, self._compiling, self._ready = compute.endswith(COMPILED), threading.Lock(), False
        self._taps = {tap.name: (Reducer.parse(tap.reducer), COMPUTES.get(tap.dtype, torch.float32)) for tap in taps}
        self._module = copy.deepcopy(backbone.module)
        fold_batchnorm(self._module, keep=self._taps)
        self._module.to(device=device, dtype=self.compute, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std)
        )
        self._scale, self._shift = 1 / (255 * std), -mean / std
        self._of_thread = threading.local()
        if self._compiled:
            compile_between_taps(self._module, self._taps)
        for name in self._taps:
            self._module.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output, name=name: self._keep(name, output)
            )

    def __call__(self, images: UInt8[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        """Features by tap on the device, in the stored dtype, or in float32 where that is a code."""
        if not self._compiled:
            return self._pass(images)
        # Compiled code is for one shape, and several threads at once would each compile it.
        missing = max(0, BATCH_ROWS - len(images))
        with nullcontext() if self._ready else self._compiling:
            kept = self._pass(F.pad(images, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else images)
            self._ready = True
        return {tap: values[: len(images)] for tap, values in kept.items()} if missing else kept

    def _pass(self, images: UInt8[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        with torch.inference_mode():
            pixels = images.to(self.device, non_blocking=True).float() * self._scale + self._shift
            kept: dict[str, Tensor] = {}
            self._of_thread.kept = kept
            try:
                self._module(pixels.to(self.compute, memory_format=torch.channels_last))
            except _LastTapReached:
                return kept
            except RuntimeError as error:
                memory = isinstance(error, torch.OutOfMemoryError)
                hint = "" if memory or self.compute == torch.float32 else "; try --compute float32"
                hint = (
                    "; torch.compile needs a C++ compiler, leave +compile out without one" if self._compiled else hint
                )
                raise BackboneError(
                    f"backbone {self._factory} fails in {self.compute} on {self.device}: {error}{hint}"
                ) from error
        raise BackboneError(f"backbone {self._factory} ended without running {sorted(self._taps.keys() - kept.keys())}")

    def _keep(self, name: str, output: Tensor) -> None:
        reducer, dtype = self._taps[name]
        kept: dict[str, Tensor] = self._of_thread.kept
        kept[name] = reducer(output).to(dtype, copy=True, memory_format=torch.contiguous_format)
        if len(kept) == len(self._taps):
            raise _LastTapReached
