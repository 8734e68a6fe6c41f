"""What an adapter loses without a tap: it is exchanged for that of another image, and accuracy is measured again.

Permutation importance (Breiman 2001, "Random Forests", section 10) of whole taps. It holds for any adapter, and says what it
relies on; a tap that another one can stand in for loses little.
"""

from __future__ import annotations

import numpy as np
import torch

from udta.adapters import load_adapter
from udta.reporting._charts import bar_chart
from udta.reporting._material import Judged, Material
from udta.reporting._page import Block, Missing
from udta.reporting.sections._words import scaled, slug, unit

_MOST_SETTINGS = 8
_MOST_ROWS, _MOST_BYTES = 256, 128 << 20  # of features in memory, as float32


def tap_shares(material: Material) -> list[Block]:
    """A chart for each setting, of its best adapter that reads several taps."""
    blocks: list[Block] = []
    for each in material.settings[:_MOST_SETTINGS]:
        judged = next((one for one in each.judged if one.run.header and len(one.run.header.taps) > 1), None)
        if judged is None:
            blocks.append(
                Missing(f"{each.title}: no adapter that reads several taps, or no store of it could be opened.")
            )
            continue
        lost, images = _losses(judged, material.seed)
        task = judged.outcome.task
        said = "; ".join(f"{tap} {scaled(value, task):.1f}" for tap, value in lost.items())
        blocks.append(
            bar_chart(
                slug("taps", each.title),
                {tap: scaled(value, task) for tap, value in lost.items()},
                axis=f"loss of {unit(task)} without the tap",
                alt=f"What {judged.run.name} loses without each tap on {each.title}: {said}.",
                caption=f"{each.title}, {judged.run.name}: what is lost with a tap of another image ({images} test images).",
            )
        )
    return blocks


def _losses(judged: Judged, seed: int) -> tuple[dict[str, float], int]:
    """The loss of the task's figure by tap, and on how many images it was measured."""
    adapter, _ = load_adapter(judged.run.path)
    taps = list(adapter.taps_used)
    a_row = 4 * sum(int(np.prod(judged.store.taps[tap].shape)) for tap in taps)
    generator = np.random.default_rng(seed)
    some = np.sort(generator.permutation(len(judged.rows))[: max(2, min(_MOST_ROWS, _MOST_BYTES // a_row))])
    found = judged.store.read(judged.rows[some], taps, views=[0], dtype="float32")
    features = {tap: torch.from_numpy(np.ascontiguousarray(values[:, 0])) for tap, values in found.items()}
    labels = torch.from_numpy(judged.outcome.labels[some])
    # No image keeps its own: a rotation by at least one place of a random order.
    order = generator.permutation(len(some))
    exchanged = torch.from_numpy(np.argsort(order)).clone()
    exchanged[torch.from_numpy(order)] = torch.from_numpy(np.roll(order, 1))
    with torch.inference_mode():
        whole = adapter.task.score(adapter(features), labels)
        return {
            tap: whole - adapter.task.score(adapter({**features, tap: features[tap][exchanged]}), labels)
            for tap in taps
        }, len(some)
