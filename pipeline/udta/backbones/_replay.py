"""A forward pass recorded once and replayed: a CUDA graph launches all of its kernels in one call.

Launching the 120 kernels of ResNet-50 one by one keeps Python busy for as long as the device needs to compute a batch of 32, and
Python is what the threads that decode wait for. The kernels are those of the pass that was recorded, and so are the bits.
"""

from __future__ import annotations

import threading

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from udta.backbones._forward import TapForward
from udta.errors import BackboneError

# One recording at a time: it begins by synchronising the whole device, which another one that is going on would not survive.
_RECORDING = threading.Lock()
# Libraries choose algorithms and take work space in their first calls, neither of which can be recorded.
_WARM_UP = 2


class Replay:
    """`TapForward` for batches of `rows` images on a GPU; other batches run as they are.

    A backbone that looks at values on its way (`.item()`) cannot be recorded and runs as it is, too. For one thread, with a
    stream of its own that is no default one. The next call overwrites the result.

    Args:
        forward: on a CUDA device.
        rows: images of the batches that are replayed.
    """

    def __init__(self, forward: TapForward, rows: int) -> None:
        self._forward, self._rows, self._tried = forward, rows, False
        self._recorded: tuple[torch.cuda.CUDAGraph, Tensor, dict[str, Tensor]] | None = None

    @property
    def recorded(self) -> bool:
        """Whether full batches are replayed from here on."""
        return self._recorded is not None

    def __call__(self, images: UInt8[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch ..."]]:
        """Features by tap on the device, `[batch, *shape of the tap]`; those of the call before are overwritten.

        Raises:
            BackboneError: the module fails on these images.
        """
        if len(images) != self._rows:
            return self._forward(images)
        if not self._tried:
            self._tried, self._recorded = True, self._record(images)
        if self._recorded is None:
            return self._forward(images)
        graph, pixels, kept = self._recorded
        # A graph reads and writes the addresses that it was recorded with, so images are copied to where the first batch lay.
        pixels.copy_(images, non_blocking=True)
        graph.replay()
        return kept

    def _record(self, images: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, dict[str, Tensor]] | None:
        pixels, graph = images.to(self._forward.device, copy=True), torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream(self._forward.device)
        with _RECORDING:
            for _ in range(_WARM_UP):
                self._forward(pixels)
            try:
                # By default a call of any thread, such as taking memory, breaks the recording; other workers are computing
                # meanwhile (https://docs.pytorch.org/docs/stable/generated/torch.cuda.graph.html, `capture_error_mode`).
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    kept = self._forward(pixels)
            except (RuntimeError, BackboneError):
                return None
        return graph, pixels, kept
