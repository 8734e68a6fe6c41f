"""The benchmark of rare classes: its long tail, its folds, its rule, its page."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import imbalance as bench

STORE = SimpleNamespace(
    labels=np.repeat(np.arange(6), 60),
    classes=tuple("abcdef"),
    rows=lambda split: np.flatnonzero((np.arange(360) % 3 > 0) == (split == "train")),
)


def test_the_tail_falls_exponentially_on_training_rows_alone():
    tails = [bench.long_tailed(STORE, 10, seed) for seed in (0, 0, 1)]
    counts = [np.bincount(STORE.labels[rows], minlength=6) for rows in tails]
    assert sorted(counts[0].tolist(), reverse=True) == [round(40 * 10 ** (-place / 5)) for place in range(6)]
    assert set(tails[0]) <= set(STORE.rows("train"))
    np.testing.assert_array_equal(tails[0], tails[1])
    assert counts[0].tolist() != counts[2].tolist()


def test_every_row_is_left_out_once():
    rows = bench.long_tailed(STORE, 10, 0)
    parts = list(bench.folds(STORE, rows, 0))
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    assert np.ptp([len(part) for part in parts]) <= 1


def tails(**gains):
    """Two tails of which each method differs from plain by (macro F1, top-1)."""

    def figures(method, more):
        f1, top1 = gains.get(method.replace(" ", "_"), (0.0, 0.0))
        return {"top1": 0.5 + top1 + more, "macro_f1": 0.4 + f1 + more, "balanced_accuracy": 0.4, "ece": 0.1}

    return [
        {
            part: {name: {m: figures(m, more) for m in methods} for name, methods in bench.ADAPTERS.items()}
            for part in ("test", "cross_validated")
        }
        | {"images": [30, 1]}
        for more in (0.0, 0.01)
    ]


@pytest.mark.parametrize(
    ("gains", "default"),
    [
        ({}, "plain"),
        ({"logit_adjustment": (0.1, -0.02)}, "plain"),  # better for rare classes, worse for the images to come
        ({"logit_adjustment": (0.1, 0.01), "class_weights": (0.05, 0.01)}, "logit adjustment"),
    ],
)
def test_a_default_would_have_to_pass_both_halves_of_the_rule(gains, default):
    found = {"birds": tails(**gains), "food": tails(**gains)}
    assert bench.by_rule(found) == default
    text = bench.render(found)
    assert ("Plain stays the default**: nothing passes" in text) == (default == "plain")
    assert ("By this rule it is logit adjustment" in text) == (default != "plain")
    assert "| `udta` | logit adjustment | " in text
    assert "30 to 1 images of 2 classes (31 in all)" in text


def test_the_page_is_what_the_results_give():
    page = Path(__file__).parents[2] / "docs" / "imbalance.md"
    assert page.read_text() == bench.render({name: bench.measured(name) for name in bench.SETS})
