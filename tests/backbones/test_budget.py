"""What is given up of the recommended taps for a budget, and in which order."""

import pytest
from toy import ToyNet

from udta.backbones import Backbone, InputSpec, list_taps, recommended_taps
from udta.backbones._budget import within
from udta.backbones.reducers import Reducer
from udta.errors import ConfigError
from udta.fingerprint import TapSpec

TAPS = {"early": "grid(14)", "late": "", "last": "avg"}
# What is stored of each with the reducer above: 200 bytes a position of `early` and `late`.
SHAPES = {"early": (100, 14, 14), "late": (100, 7, 7), "last": (50,)}
FULL = 200 * (196 + 49) + 100


def stored(name, reducer):
    side = Reducer.parse(reducer).reduction.size[0] if reducer.startswith("grid") else None
    shape = SHAPES[name] if side is None else (SHAPES[name][0], side, side)
    return TapSpec(name, reducer or "none", shape, "float16")


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (FULL, TAPS),
        (FULL - 1, {"early": "grid(10)", "late": "", "last": "avg"}),
        (200 * (49 + 49) + 100, {"early": "grid(7)", "late": "", "last": "avg"}),
        (200 * (25 + 25) + 100, {"early": "grid(5)", "late": "grid(5)", "last": "avg"}),
        (200 * (16 + 16) + 100, {"early": "grid(4)", "late": "grid(4)", "last": "avg"}),
        (200 * (16 + 16) + 99, {"early": "grid(5)", "last": "avg"}),
        (200 * 16 + 100, {"early": "grid(4)", "last": "avg"}),
        (200 * 16 + 99, {"last": "avg"}),
        (100, {"last": "avg"}),
    ],
)
def test_maps_get_smaller_then_fewer_and_the_last_tap_stays(budget, expected):
    assert within(budget, TAPS, stored) == expected


def test_maps_that_are_not_square_become_squares_that_fit():
    def oblong(name, reducer):
        return TapSpec(name, reducer, (8, 18, 24), "float16") if reducer == "none" else stored(name, reducer)

    SHAPES["wide"] = (8, 18, 18)
    assert within(2 * 8 * 18 * 18, {"wide": "none"}, oblong) == {"wide": "grid(18)"}


def test_a_budget_that_nothing_fits_in_names_the_least_and_its_bytes():
    with pytest.raises(ConfigError, match=r"budget is 99 bytes a view.*the least.*, last=avg, takes 100"):
        within(99, TAPS, stored)


def test_bytes_are_those_of_the_storage_type():
    toy = Backbone(ToyNet().eval().requires_grad_(False), "toy", InputSpec("resize(16,16)"))
    sizes = {}
    for dtype in ("uint8", "float16", "float32"):
        infos = list_taps(toy, dtype)
        sizes[dtype] = sum(info.recommended_bytes for info in infos)
        assert recommended_taps(list_taps(toy, dtype, sizes[dtype])) == recommended_taps(infos)
        assert recommended_taps(list_taps(toy, dtype, sizes[dtype] - 1)) != recommended_taps(infos)
    assert sizes["float32"] == 2 * sizes["float16"] == 4 * sizes["uint8"] > 0
