"""Glyphs from the fonts that matplotlib ships, each a little different: size, place, angle, shear, colours, blur, noise."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 32
_CANVAS = 96  # drawn three times as large and reduced, so that edges are smooth

DEJAVU = tuple(
    f"DejaVu{family}{style}"
    for family, italic in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{italic}", f"-Bold{italic}")
)
STIX = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
COMPUTER_MODERN = ("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10", "cmmi10")


def render(glyph: str, font: str, rng: np.random.Generator) -> Image.Image:
    """One RGB image of 32 x 32 pixels."""
    mask = Image.new("L", (_CANVAS, _CANVAS))
    size = round(_CANVAS * rng.uniform(0.55, 0.8))
    middle = _CANVAS / 2 + _CANVAS * rng.uniform(-0.06, 0.06, size=2)
    left, top, right, bottom = _font(font, size).getbbox(glyph)
    corner = (middle[0] - (left + right) / 2, middle[1] - (top + bottom) / 2)
    ImageDraw.Draw(mask).text(corner, glyph, fill=255, font=_font(font, size))
    mask = mask.transform(mask.size, Image.Transform.AFFINE, _affine(rng), Image.Resampling.BILINEAR)
    small = mask.resize((SIDE, SIDE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.7)))
    return Image.fromarray(_colour(np.asarray(small) / 255.0, rng))


def _affine(rng: np.random.Generator) -> tuple[float, ...]:
    """Rotation by up to 12 degrees and shear by up to 0.15, around the middle."""
    angle, shear = math.radians(rng.uniform(-12, 12)), rng.uniform(-0.15, 0.15)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) @ [[1, shear], [0, 1]]
    shift = _CANVAS / 2 - matrix @ [_CANVAS / 2, _CANVAS / 2]
    return (*matrix[0], shift[0], *matrix[1], shift[1])


def _colour(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark on light or light on dark, in two colours whose brightness differs by at least 0.35, with noise."""
    while True:
        paper, pen = rng.uniform(0, 1, size=(2, 3))
        if abs(paper.mean() - pen.mean()) >= 0.35:
            break
    image = paper + ink[..., None] * (pen - paper) + rng.normal(0, rng.uniform(0, 0.06), size=(SIDE, SIDE, 1))
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)
