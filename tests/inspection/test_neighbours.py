"""Blocks make no difference."""

import torch
import torch.nn.functional as F  # noqa: N812

from udta.inspection import _neighbours
from udta.inspection._neighbours import nearest
from udta.inspection._vectors import hashed, layouts


def test_blocks_give_the_neighbours_of_the_whole_matrix(monkeypatch):
    units = F.normalize(torch.randn(37, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    whole = units @ units.T
    whole.fill_diagonal_(-torch.inf)
    monkeypatch.setattr(_neighbours, "_QUERIES", 5)
    monkeypatch.setattr(_neighbours, "_KEYS", 7)
    cosines, rows = nearest(units, 9)
    assert torch.allclose(cosines, whole.topk(9, dim=1).values, atol=1e-6)
    assert torch.allclose(whole.gather(1, rows), cosines, atol=1e-6)
    assert nearest(units[:4], 9)[0].shape == (4, 3)


def test_a_layout_is_the_same_for_an_image_and_its_mirror():
    maps = torch.randn(2, 5, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(layouts(maps), layouts(maps.flip(3)), atol=1e-6)
    assert not torch.allclose(layouts(maps), layouts(maps.flip(2)), atol=1e-2)
    assert layouts(maps).shape == (2, 5 * 3 * 2)
    assert layouts(torch.ones(2, 5, 1, 2)).shape == (2, 5)
    assert layouts(torch.ones(2, 9, 6)).shape == (2, 6)
    assert layouts(torch.ones(2, 6)).shape == (2, 6)


def test_hashing_keeps_products():
    vectors = torch.randn(20, 9000, generator=torch.Generator().manual_seed(0)) / 9000**0.5
    short = hashed(vectors, 2048)
    assert short.shape == (20, 2048)
    assert (short @ short.T - vectors @ vectors.T).abs().max() < 0.12  # 5 deviations of 1 / sqrt(2048)
    assert hashed(vectors, 9000) is vectors
