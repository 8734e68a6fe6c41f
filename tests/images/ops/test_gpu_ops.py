"""The operations on a GPU against the originals on Pillow images; on a CPU's tensors, where they compute the same."""

import numpy as np
import pytest
import torch
from PIL import Image

from udta.errors import ConfigError, ImageError
from udta.images import Transform
from udta.images.ops.gpu_ops import check_on_gpu, transformed

IMAGE = np.array(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize((301, 207))
)
PIXELS = torch.from_numpy(IMAGE).permute(2, 0, 1)


def rng(seed):
    return np.random.Generator(np.random.Philox(seed))


@pytest.mark.parametrize(
    ("text", "worst"),
    [
        ("resize(96)|centre_crop(80)", 1),
        ("resize(300)|centre_crop(224)", 1),
        ("resize(96,filter=bicubic)|centre_crop(80)", 2),
        ("resize(33,21)", 1),
        ("centre_crop(400)", 0),
        ("random_crop(224,pad=9)", 0),
        ("centre_crop(64)|flip", 0),
        ("centre_crop(64)|grey", 0),
        ("centre_crop(64)|jitter(0.4)", 1),
    ],
)
def test_an_operation_is_pillows_up_to_rounding(text, worst):
    transform = Transform.parse(text)
    for seed in range(8):
        expected = transform.apply(Image.fromarray(IMAGE), rng(seed)).astype(int)
        found = transformed(transform, PIXELS, rng(seed)).numpy().astype(int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= worst


def test_a_random_part_is_the_same_and_differs_at_its_edges_alone():
    transform = Transform.parse("random_resized_crop(64,scale=0.35..1)|flip|jitter(0.2)")
    for seed in range(8):
        expected = transform.apply(Image.fromarray(IMAGE), rng(seed)).astype(int)
        deviation = np.abs(transformed(transform, PIXELS, rng(seed)).numpy() - expected)
        assert deviation[4:-4, 4:-4].max() <= 3
        assert deviation.mean() < 1


def test_what_has_no_form_there_is_refused():
    check_on_gpu(Transform.parse("random_resized_crop(64)|flip|jitter(0.2)|grey"))
    with pytest.raises(ConfigError, match=r"rotate\(20\) .* cannot be computed on a GPU: use the decoder pillow"):
        check_on_gpu(Transform.parse("centre_crop(64)|rotate(20)"))
    with pytest.raises(ConfigError, match="lanczos"):
        check_on_gpu(Transform.parse("resize(64,64,filter=lanczos)"))


def test_an_elongated_image_is_refused_before_memory_is_taken():
    with pytest.raises(ImageError, match="too elongated"):
        transformed(
            Transform.parse("resize(256)|centre_crop(224)"), torch.zeros(3, 1, 100_000, dtype=torch.uint8), rng(0)
        )
