"""uint8 features: one scale and one offset for each channel of a tap.

value = code * scale + offset, with code 0 at the channel's smallest and 255 at its largest fitted value. Half the bytes of
float16 at about 1 % relative error (measured on ResNet-18 maps). Scales and offsets are numbers that float16 has, so that codes
become float16 in half precision arithmetic with a single rounding, the same bits as by way of float32.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

# Bytes between the passes of a decoding: few enough to stay in the cache, many enough for Python's part not to count. Two threads
# decode 276,000 samples of 94 KB a second into float16 so, 224,000 with 2**19 bytes; by way of float32 it were 184,000.
_SCRATCH_BYTES = 2**21
# The bits of a small whole number are a float16 of that many times 2**-24.
_SUBNORMAL = 2.0**24
_scratch = threading.local()
LEVELS = 255


@dataclass(frozen=True, eq=False)
class Quantiser:
    """`scale` and `offset`, float32, one for each channel: axis 0 of a map `[C, H, W]` or vector, axis 1 of tokens `[T, D]`."""

    scale: Float[np.ndarray, " channels"]
    offset: Float[np.ndarray, " channels"]
    channel_axis: int

    @classmethod
    def fit(cls, values: Float[np.ndarray, "rows ..."]) -> Quantiser:
        """From float32 features of some rows: the range of every channel; a constant channel is kept exactly."""
        axis = channel_axis(values.shape[1:])
        others = tuple(a for a in range(values.ndim) if a != axis + 1)
        low, high = values.min(axis=others).astype(np.float64), values.max(axis=others).astype(np.float64)
        # Down, then up: code 0 is not above the smallest value and code 255 not below the largest, so nothing of them clips.
        offset = _half_at_most(low)
        scale = -_half_at_most(-(high - offset) / LEVELS)
        # A scale of 0 could not be divided by; 1 gives a constant channel the code 0, which is its value exactly.
        return cls(np.where(scale > 0, scale, 1).astype(np.float32), offset.astype(np.float32), axis)

    def encode(self, values: Float[Tensor, "rows ..."]) -> tuple[UInt8[Tensor, "rows ..."], Int64[Tensor, " rows"]]:
        """Codes of float32 values on their device, and how many values of each row lay outside the range and were clipped."""
        codes = ((values - self._shaped(self.offset, values)) / self._shaped(self.scale, values)).round_()
        clipped = ((codes < 0) | (codes > LEVELS)).flatten(1).sum(dim=1)
        return codes.clamp_(0, LEVELS).to(torch.uint8), clipped

    def decode(self, codes: UInt8[np.ndarray, "rows ..."], out: Float[Tensor, "rows ..."]) -> None:
        """Values of codes into `out`, of any float type; each is rounded once."""
        half = out.dtype == torch.float16
        offset, scale = self._full(codes, torch.float16 if half else torch.float32)
        step = max(1, _SCRATCH_BYTES // max(4 * codes[:1].size, 1))
        for start in range(0, len(codes), step):
            part, target = codes[start : start + step], out[start : start + step]
            # Widening to integers, then one pass: converting to a float first would be another.
            if half:
                bits = _scratch_like(part, np.dtype(np.uint16))
                np.copyto(bits, part)
                torch.addcmul(offset, torch.from_numpy(bits).view(torch.float16), scale, value=_SUBNORMAL, out=target)
            else:
                values = torch.from_numpy(_scratch_like(part, np.dtype(np.float32)))
                values.copy_(torch.from_numpy(part))
                target.copy_(torch.addcmul(offset, values, scale, out=values))

    def round_trip(self, values: Float[Tensor, "rows ..."]) -> Float[Tensor, "rows ..."]:
        """What a reader gets back of float32 values."""
        result = torch.empty(values.shape)
        self.decode(self.encode(values)[0].cpu().numpy(), result)
        return result

    def to_json(self) -> dict[str, Any]:
        """Float32 values survive the decimal numbers of JSON exactly."""
        return {"scale": [float(v) for v in self.scale], "offset": [float(v) for v in self.offset]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], shape: tuple[int, ...]) -> Quantiser:
        """The inverse of `to_json` for a tap of this shape."""
        scale, offset = (np.array(document[name], dtype=np.float32) for name in ("scale", "offset"))
        return cls(scale, offset, channel_axis(shape))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantiser) and self.to_json() == other.to_json()

    def _shaped(self, numbers: np.ndarray, values: Tensor) -> Tensor:
        shape = [1] * values.ndim
        shape[self.channel_axis + 1] = len(numbers)
        return torch.from_numpy(numbers).to(values.device).view(shape)

    @cached_property
    def _expanded(self) -> dict[torch.dtype, tuple[Tensor, Tensor]]:
        return {}

    def _full(self, codes: np.ndarray, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Offsets and scales in the shape of one row: `addcmul` is 1.6 times as fast as with broadcast channels."""
        # Two threads may do it at the same time, to the same result.
        if dtype not in self._expanded:
            row = torch.empty(1, *codes.shape[1:])
            offset, scale = (self._shaped(numbers, row).expand_as(row) for numbers in (self.offset, self.scale))
            self._expanded[dtype] = offset.to(dtype).contiguous(), scale.to(dtype).contiguous()
        return self._expanded[dtype]


def channel_axis(shape: tuple[int, ...]) -> int:
    """Which axis of one view's shape counts channels: 0 of `[C]` and `[C, H, W]`, 1 of `[T, D]`."""
    return 1 if len(shape) == 2 else 0


def _half_at_most(values: np.ndarray) -> np.ndarray:
    """The largest float16 numbers that are not above these values, as float64."""
    nearest = np.clip(values, -65504, 65504).astype(np.float16)
    below = np.nextafter(nearest, np.float16(-np.inf))
    result: np.ndarray = np.where(nearest > values, below, nearest).astype(np.float64)
    return result


def _scratch_like(codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Memory of this shape that the calling thread uses again: fresh memory costs a page fault for every 4 KB."""
    n_bytes = codes.size * dtype.itemsize
    if not hasattr(_scratch, "memory") or len(_scratch.memory) < n_bytes:
        _scratch.memory = np.empty(max(n_bytes, _SCRATCH_BYTES), dtype=np.uint8)
    memory: np.ndarray = _scratch.memory[:n_bytes]
    return memory.view(dtype).reshape(codes.shape)
