"""Where on a photograph a wrong answer comes from, by features that are stored: no backbone runs for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from udta.adapters import load_adapter
from udta.errors import AdapterError
from udta.explanation import contributions, overlay
from udta.reporting._material import Judged
from udta.reporting._page import Gallery, Picture
from udta.reporting._thumbnails import SIDE, Thumbnails, picture_of


def overlays(judged: Judged, thumbnails: Thumbnails, places: Sequence[int]) -> list[Gallery]:
    """Photographs as the backbone saw them, each beside what its positions add to the class that is said.

    Nothing where what the adapter says is no sum over positions, or none of its taps is stored with positions.
    """
    adapter, header = load_adapter(judged.run.path)
    rows = judged.rows[list(places)]
    features = judged.store.read(rows, adapter.taps_used, views=[0], dtype="float32")
    pictures: list[Picture] = []
    for at, place in enumerate(places):
        said = int(judged.outcome.answers[place, 0].argmax())
        own = {tap: torch.from_numpy(np.ascontiguousarray(values[at, 0])) for tap, values in features.items()}
        try:
            found = contributions(adapter, header, own, said)
        except AdapterError:
            return []
        view = thumbnails.view(int(rows[at])) if found.maps else None
        if view is None:
            continue
        true, name = header.classes[int(judged.outcome.labels[place])], header.classes[said]
        painted = overlay(view, found)
        for image, alt, line in (
            (view, f"{true}, as the backbone saw it", true),
            (painted, f"where the photograph of {true} speaks for {name}, and where against it", f"for {name}"),
        ):
            image.thumbnail((SIDE, SIDE))
            pictures.append(picture_of(image, alt, line))
    caption = (
        "Where the wrong answer comes from: orange speaks for the class that is said, blue against it. The sum over positions is"
        " the adapter's own logit, see the verb udta explain."
    )
    return [Gallery(pictures, caption)] if pictures else []
