"""Whether a backbone is a function of one image: the same each time, whatever else is in the batch.

`F.dropout(x)` in a forward is on even in evaluation mode, and BatchNorm without running statistics takes those of the batch: both
run, and what they give cannot be computed twice, or not without the images beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone
from udta.backbones._module import clone, device_and_dtype
from udta.backbones._probing import numbers, pictures, run_plain
from udta.errors import BackboneError
from udta.fingerprint import TapSpec

# Relative root mean square. Kernels differ by batch size: 1e-7 to 1e-5 in float32; bf16 has 8 bits. BatchNorm without
# statistics makes 1e-2 and more, dropout 0.3.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}
_SHOWN = 3


@left_as_found(seed=0)
def impure_modules(backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device) -> list[str]:
    """Names of the innermost modules whose output is no function of one image; empty for a backbone that is one.

    The plain backbone runs a batch of two pictures twice, and one of them alone; in float32 on a CPU where it can.

    Raises:
        BackboneError: it does not run.
    """
    batch = pictures(backbone, 2)
    forward, first = run_plain(backbone, taps, compute, device, batch)
    # Again for what is drawn anew in each pass, alone for what looks at the other images of the batch.
    again, alone = forward(batch), forward(batch[:1])
    tolerance = _TOLERANCE[forward.compute]
    if all(
        _relative(values, again[tap]) <= tolerance and _relative(values[:1], alone[tap]) <= tolerance
        for tap, values in first.items()
    ):
        return []
    return _culprits(backbone, batch) or ["(which module could not be told)"]


def check_pure(
    backbone: Backbone, taps: Sequence[TapSpec], compute: str, device: torch.device, *, allowed: bool
) -> tuple[str, ...]:
    """Names of the innermost modules whose output is no function of one image, where that is `allowed`; empty where all are.

    Raises:
        BackboneError: there are some and they are not allowed, or the backbone does not run.
    """
    found = impure_modules(backbone, taps, compute, device)
    if found and not allowed:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise BackboneError(
            f"backbone {backbone.factory} is no function of one image: what it gives changes from pass to pass, or with the other"
            f" images of a batch, in {', '.join(found[:_SHOWN])}{more}. Such features could not be computed again. Take the"
            " randomness out of the forward (F.dropout needs training=self.training), give BatchNorm running statistics, take"
            " taps before it, or keep what it happens to give with --allow-impure"
        )
    return tuple(found)


@dataclass(frozen=True)
class _Call:
    """One call of a module: what went in and what came out, in numbers, of all images and of the first one."""

    name: str
    given: tuple[tuple[float, ...], ...]
    gave: tuple[tuple[float, ...], ...]
    given_first: tuple[tuple[float, ...], ...]
    gave_first: tuple[tuple[float, ...], ...]


def _culprits(backbone: Backbone, batch: Tensor) -> list[str]:
    """Modules that got the same and gave something else, and have no such module inside."""
    module = clone(backbone.module, share_parameters=True)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    pixels = ((batch / 255 - mean) / std).to(*device_and_dtype(module))
    first, again, alone = (_calls(module, each) for each in (pixels, pixels, pixels[:1]))
    # Not strict: a forward that draws may call a module in one pass and not in the next.
    found = [
        one.name
        for one, two, three in zip(first, again, alone, strict=False)
        if _differ(one.gave, two.gave, one.given, two.given)
        or _differ(one.gave_first, three.gave_first, one.given_first, three.given_first)
    ]
    # A container of a culprit gives something else as well, and so says nothing.
    kinds = {name: type(each).__name__ for name, each in module.named_modules()}
    innermost = [name for name in dict.fromkeys(found) if not any(_inside(other, name) for other in found)]
    return [f"{name!r} ({kinds[name]})" if name else f"its own forward ({kinds[name]})" for name in innermost]


def _inside(inner: str, outer: str) -> bool:
    return inner != outer and (not outer or inner.startswith(f"{outer}."))


def _calls(module: nn.Module, pixels: Tensor) -> list[_Call]:
    """Every call of every module in one pass, in the order in which they ended."""
    calls: list[_Call] = []
    open_calls: list[list[Tensor]] = []

    # Calls end in the opposite order of their beginning: a module may call itself, or be called by two parents.
    def begin(_module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        # Cloned, since the module may work in place.
        open_calls.append([tensor.clone() for tensor in _tensors((args, kwargs))])

    def end(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _args: object, _kwargs: object, output: object) -> None:
            given, gave = open_calls.pop(), list(_tensors(output))
            calls.append(_Call(name, *(_summary(each, n) for n in (1, len(pixels)) for each in (given, gave))))

        return note

    hooks = [
        hook
        for name, each in module.named_modules()
        for hook in (
            each.register_forward_pre_hook(begin, with_kwargs=True),
            each.register_forward_hook(end(name), with_kwargs=True),
        )
    ]
    with torch.inference_mode():
        module(pixels)
    for hook in hooks:
        hook.remove()
    return calls


def _summary(tensors: Sequence[Tensor], n: int) -> tuple[tuple[float, ...], ...]:
    """The numbers of each, or of its first n-th, which belongs to the first of n images."""
    return tuple(
        numbers(each[: len(each) // n] if n > 1 and each.ndim and len(each) % n == 0 else each) for each in tensors
    )


def _differ(
    gave: Sequence[tuple[float, ...]],
    gave_then: Sequence[tuple[float, ...]],
    given: Sequence[tuple[float, ...]],
    given_then: Sequence[tuple[float, ...]],
) -> bool:
    return not _close(gave, gave_then) and _close(given, given_then)


def _close(one: Sequence[tuple[float, ...]], other: Sequence[tuple[float, ...]]) -> bool:
    return len(one) == len(other) and all(
        len(a) == len(b) and (not a or max(abs(x - y) for x, y in zip(a, b, strict=True)) <= 1e-3 * max(a[1], 1e-12))
        for a, b in zip(one, other, strict=True)
    )


def _tensors(nested: object) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        for each in nested.values():
            yield from _tensors(each)
    elif isinstance(nested, (tuple, list)):
        for each in nested:
            yield from _tensors(each)


def _relative(one: Tensor, other: Tensor) -> float:
    one, other = (values.double().nan_to_num(0, 0, 0) for values in (one, other))  # what is not finite is refused later
    norm = float(one.norm())
    return float((one - other).norm()) / norm if norm else float((other != 0).any())
