"""The table of recommended taps in docs/backbones.md says what the code recommends."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from udta.backbones import build_backbone, list_taps, parse_taps, recommended_taps, resolve_taps
from udta.store import row_bytes

PAGE = Path(__file__).parent.parent.parent / "docs" / "backbones.md"
ROW = re.compile(r"^\| (`[^|]+`)( \(timm\))? \| `([^`]+)` \| ([^|]+) \| ([\d,]+) \|$", re.MULTILINE)
TABLE = {
    backbone: (bool(timm), taps, stored, size)
    for backbones, timm, taps, stored, size in ROW.findall(PAGE.read_text().replace("\N{MULTIPLICATION SIGN}", "x"))
    for backbone in re.findall("`([^`]+)`", backbones)
}


def written(specs):
    """`384 x 14x14` for a map, `2 of ...` for several that are alike."""
    shapes = [f"{spec.shape[0]} x {'x'.join(map(str, spec.shape[1:]))}".removesuffix(" x ") for spec in specs]
    runs = [(shape, len(list(run))) for shape, run in groupby(shapes)]
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for shape, count in runs)


def test_the_table_is_found():
    assert len(TABLE) == 11


@pytest.mark.slow
@pytest.mark.parametrize("backbone", TABLE)
def test_a_row(backbone):
    of_timm, taps, stored, size = TABLE[backbone]
    if of_timm:
        pytest.importorskip("timm", reason="needs the extra timm")
    built = build_backbone(backbone)
    assert recommended_taps(list_taps(built)) == taps
    specs = resolve_taps(built, parse_taps(taps), "float16")
    assert (written(specs), f"{sum(map(row_bytes, specs)):,}") == (stored, size)
