"""The picture that `udta explain` leaves: the view, the view with its contributions, a scale, and the figures in words."""

from __future__ import annotations

import warnings
from typing import BinaryIO

from PIL import Image

from udta.errors import ConfigError
from udta.explanation._contributions import Contributions
from udta.explanation._overlay import AGAINST, FOR, density, largest, overlay

_NEUTRAL = (200, 200, 200)
_INCHES, _DPI = (9.0, 4.7), 120


def need_matplotlib() -> None:
    """Raises `ConfigError` where it is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as missing:
        raise ConfigError(
            "a picture of an explanation needs matplotlib: pip install 'udta[report]', or leave out away"
        ) from missing


def draw(file: BinaryIO, view: Image.Image, found: Contributions, name: str, title: str, text: str) -> None:
    """Write a PNG of what adds to the answer for `name`, whose description is `text`; the same bytes for the same picture."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure

    limit = largest([density(found, view.width, view.height)]) or 1.0
    colours = [tuple(channel / 255 for channel in colour) for colour in (AGAINST, _NEUTRAL, FOR)]
    # Without pyplot, which keeps figures and asks for a display.
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, picture, name in (
        (left, view, "what the backbone saw"),
        (right, overlay(view, found), "for and against"),
    ):
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(name, fontsize=9)
    scale = ScalarMappable(Normalize(-limit, limit), LinearSegmentedColormap.from_list("against and for", colours))
    bar = figure.colorbar(scale, ax=right, fraction=0.046, pad=0.03)
    bar.set_label("added to the answer, by area: its mean is the sum", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=11, parse_math=False)
    with warnings.catch_warnings():
        # A name in a script that the font has not: boxes in the picture, and the name in the description.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="png", metadata={"Software": None, "Description": text})
