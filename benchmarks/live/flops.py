"""Floating point operations of a forward and a backward pass, two a multiply-add, by `torch.utils.flop_counter`.

torch 2.14's formula for the backward pass of a convolution forgets the groups in the gradient of the weights, and so counts that
of a depthwise convolution of C channels C times (10.5 of the 11.7 GFLOPs it gives for a MobileNetV2; pytorch#183405). Here it is
put right, in the rival's favour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

Shape = Sequence[int]
_CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward


def _convolution_backward(grad_out: Shape, image: Shape, weight: Shape, *arguments: Any, **_: Any) -> int:
    """Each of the two gradients takes as many operations as the forward pass, depthwise or not."""
    transposed, (for_image, for_weight, _) = arguments[-4], arguments[-1]
    assert not transposed  # no network here has such a convolution
    return int(conv_flop_count(image, weight, grad_out)) * (int(for_image) + int(for_weight))


def count(forward: Callable[[], Tensor], n: int) -> dict[str, float]:
    """Operations an image: `forward` gives the logits of n images, backward is that of their cross entropy.

    `backward_flops_torch` is what torch counts by itself.
    """
    with FlopCounterMode(display=False) as forwards:
        logits = forward()
    loss = F.cross_entropy(logits, torch.zeros(n, dtype=torch.int64))
    with (
        FlopCounterMode(display=False) as torchs,
        FlopCounterMode(display=False, custom_mapping={_CONVOLUTION_BACKWARD: _convolution_backward}) as backwards,
    ):
        torch.autograd.backward(loss)
    return {
        "forward_flops": forwards.get_total_flops() / n,
        "backward_flops": backwards.get_total_flops() / n,
        "backward_flops_torch": torchs.get_total_flops() / n,
    }
