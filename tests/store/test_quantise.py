"""Codes and values: bounds of the error, clipping, and the same bits in half precision as by way of float32."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from udta.store import Quantiser

FLOATS = st.floats(-1000, 1000, width=32, allow_subnormal=False)


@given(values=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=6), elements=FLOATS))
def test_fitted_values_come_back_within_half_a_step(values):
    quantiser = Quantiser.fit(values)
    codes, clipped = quantiser.encode(torch.from_numpy(values))
    assert clipped.sum() == 0
    found = torch.empty(values.shape)
    quantiser.decode(codes.numpy(), found)
    shape = [1] * values.ndim
    shape[quantiser.channel_axis + 1] = -1
    step = quantiser.scale.reshape(shape)
    assert (np.abs(found.numpy() - values) <= 0.501 * step + 1e-3).all()
    again = Quantiser.from_json(quantiser.to_json(), values.shape[1:])
    assert again == quantiser


@given(values=hnp.arrays(np.float32, (5, 3, 2, 2), elements=FLOATS), codes=hnp.arrays(np.uint8, (4, 3, 2, 2)))
def test_half_precision_gives_the_bits_that_float32_rounds_to(values, codes):
    quantiser = Quantiser.fit(values)
    single, half = torch.empty(codes.shape), torch.empty(codes.shape, dtype=torch.float16)
    quantiser.decode(codes, single)
    quantiser.decode(codes, half)
    assert torch.equal(half, single.half())


def test_values_outside_the_range_clip_and_are_counted_by_row():
    quantiser = Quantiser.fit(np.array([[[0.0]], [[1.0]]], np.float32))
    codes, clipped = quantiser.encode(torch.tensor([[[0.5]], [[2.0]], [[-1.0]]]))
    assert codes.flatten().tolist()[1:] == [255, 0]
    assert clipped.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("shape", "channels"), [((7, 5), 5), ((7, 5, 3, 3), 5), ((7, 4, 5), 5)])
def test_channels_are_the_first_axis_of_maps_and_the_last_of_tokens(shape, channels):
    assert len(Quantiser.fit(np.zeros(shape, np.float32)).scale) == channels
