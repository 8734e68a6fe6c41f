"""Running a backbone for its taps, as fast as the device allows, and no further than the last tap."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from udta.backbones.backbone import Backbone
from udta.backbones.compute import COMPUTES
from udta.backbones.reducers import Reducer
from udta.errors import BackboneError
from udta.fingerprint import TapSpec


class _LastTapReached(Exception):  # noqa: N818  # it is no error
    """Raised by the hook of the last tap: nothing after it is computed."""


class TapForward:
    """8-bit images to stored features.

    Works on its own copy of the module: channels_last, BatchNorm folded into the convolution before it, weights in the compute
    type. Reduction happens inside the hook and in float32, so that a later in-place operation (`ReLU(inplace=True)`) cannot
    change what was tapped and an average is not rounded to bf16 first.

    Raises:
        BackboneError: the module cannot run in this arithmetic.
    """

    def __init__(self, backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device) -> None:
        backbone.check_frozen()
        self.compute, self.device, self._factory = COMPUTES[compute], device, backbone.factory
        self._taps = {tap.name: (Reducer.parse(tap.reducer), COMPUTES[tap.dtype]) for tap in taps}
        self._module = copy.deepcopy(backbone.module)
        fold_batchnorm(self._module, keep=self._taps)
        self._module.to(device=device, dtype=self.compute, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std)
        )
        self._scale, self._shift = 1 / (255 * std), -mean / std
        self._kept: dict[str, Tensor] = {}
        for name in self._taps:
            self._module.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output, name=name: self._keep(name, output)
            )

    def __call__(self, images: UInt8[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        """Features by tap on the device, in the stored dtype."""
        with torch.inference_mode():
            pixels = images.to(self.device).float() * self._scale + self._shift
            self._kept = {}
            try:
                self._module(pixels.to(self.compute, memory_format=torch.channels_last))
            except _LastTapReached:
                return self._kept
            except RuntimeError as error:
                hint = "" if self.compute == torch.float32 else "; try --compute float32"
                raise BackboneError(
                    f"backbone {self._factory} fails in {self.compute} on {self.device}: {error}{hint}"
                ) from error
        raise BackboneError(
            f"backbone {self._factory} ended without running {sorted(self._taps.keys() - self._kept.keys())}"
        )

    def _keep(self, name: str, output: Tensor) -> None:
        reducer, dtype = self._taps[name]
        self._kept[name] = reducer(output).to(dtype, copy=True, memory_format=torch.contiguous_format)
        if len(self._kept) == len(self._taps):
            raise _LastTapReached


def fold_batchnorm(module: nn.Module, keep: Iterable[str] = ()) -> int:
    """Fold every BatchNorm in evaluation mode into the convolution whose only use it is; returns how many were folded.

    torch.fx tells which follows which; a module that it cannot trace is left as it is. `keep` names taps: a convolution among
    them must go on giving its own output.
    """
    try:
        graph = fx.Tracer().trace(module)
    except Exception:  # fx raises anything a forward can raise, on whatever it cannot follow
        return 0
    modules, folded = dict(module.named_modules()), 0
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        conv, norm = str(before.target), str(node.target)
        if type(modules[conv]) is not nn.Conv2d or type(modules[norm]) is not nn.BatchNorm2d or conv in keep:
            continue
        if calls.count(conv) > 1 or calls.count(norm) > 1 or modules[norm].running_mean is None:
            continue
        module.set_submodule(conv, fuse_conv_bn_eval(modules[conv], modules[norm]))
        module.set_submodule(norm, nn.Identity())
        folded += 1
    return folded
