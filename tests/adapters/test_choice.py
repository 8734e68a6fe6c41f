"""What `udta` reads of a set of images is chosen by leaving images out, and left at the default unless that clearly helps."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from adapter_contract import MAPS, N_CLASSES, every_view
from sklearn.linear_model import Ridge

from udta.adapters import build_adapter
from udta.adapters._choice import (
    MOST_IMAGES,
    WEIGHTS,
    Choice,
    Fixed,
    LeaveOut,
    choose,
    images_to_look_at,
    spread,
)
from udta.loader import Batch
from udta.tasks import find_task
from udta.tasks.calibration import fit_scale

OPEN = Fixed(None, None, None)


def noise(n, width, seed):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def telling(labels, seed):
    """Ten numbers that say which of five classes an image has, but for some noise."""
    return F.one_hot(labels, 5).float().repeat(1, 2) * 2 + noise(len(labels), 10, seed)


@pytest.mark.parametrize(("n", "most", "found"), [(2, 3, [0, 1]), (9, 3, [2, 5, 8]), (16, 8, [*range(1, 16, 2)])])
def test_taps_are_spread_with_the_last_among_them(n, most, found):
    assert spread(n, most) == found


class TestImages:
    def test_each_class_has_the_same_part_and_the_same_images_are_taken_each_time(self):
        labels = torch.arange(40).repeat_interleave(torch.arange(40) % 3 * 20 + 10)
        chosen = images_to_look_at(labels, 40)
        counts = torch.bincount(labels[chosen], minlength=40)
        assert counts.min() == 10
        assert counts.max() == MOST_IMAGES // 40
        assert torch.equal(chosen, images_to_look_at(labels, 40))

    def test_of_many_classes_some_are_looked_at_but_in_earnest(self):
        chosen = images_to_look_at(torch.arange(1000).repeat(6), 1000)
        assert chosen.sum() <= MOST_IMAGES
        assert torch.bincount(torch.arange(1000).repeat(6)[chosen]).unique().tolist() == [0, 4]

    @pytest.mark.parametrize("labels", [torch.arange(10).repeat(2), torch.zeros(30, dtype=torch.int64)])
    def test_too_few_of_a_class_or_one_class_alone_say_nothing(self, labels):
        assert not images_to_look_at(labels, 10).any()


class TestChoose:
    labels = torch.arange(200) % 5
    regression = LeaveOut(find_task("multiclass"), labels, 5)

    def test_taps_that_say_the_same_stay_as_they_are(self):
        roots = [telling(self.labels, seed) for seed in range(5)]
        choice = choose(telling(self.labels, 9), [telling(self.labels, 7)], roots, self.regression, OPEN)
        assert choice == OPEN.default(5)

    def test_the_one_tap_that_tells_classes_apart_is_taken(self):
        roots = [noise(200, 50, seed) for seed in range(6)]
        roots[0] = telling(self.labels, 8)
        choice = choose(noise(200, 10, 9), [noise(200, 8, 7)], roots, self.regression, OPEN)
        assert 0 in choice.second_order
        assert 0 not in OPEN.default(6).second_order

    def test_roots_that_say_nothing_weigh_less(self):
        choice = choose(telling(self.labels, 8), [], [noise(200, 300, 1)], self.regression, OPEN)
        assert choice == Choice((0,), WEIGHTS[-1], True)

    def test_averages_that_say_nothing_are_left_out(self):
        choice = choose(telling(self.labels, 8), [noise(200, 300, 1)], [], self.regression, OPEN)
        assert not choice.averages

    def test_what_is_fixed_stays(self):
        roots = [telling(self.labels, 1), noise(200, 50, 2)]
        fixed = Fixed((1,), 0.7, None)
        assert choose(noise(200, 5, 3), [telling(self.labels, 4)], roots, self.regression, fixed) == Choice(
            (1,), 0.7, True
        )


def test_left_out_means_fitted_to_all_others():
    """One image after the other by scikit-learn, at whatever regularisation has the least squared error."""
    labels, x = torch.arange(24) % 3, noise(24, 40, 0).double()
    x = x - x.mean(0)
    targets = F.one_hot(labels).double().numpy()
    kernel = x @ x.T
    fits = []
    for alpha in np.logspace(-4, 1, 11) * float(kernel.diagonal().mean()):
        out = np.empty_like(targets)
        for image in range(24):
            rest = np.arange(24) != image
            out[image] = Ridge(alpha=alpha).fit(x[rest].numpy(), targets[rest]).predict(x[image : image + 1].numpy())[0]
        fits.append((np.square(out - targets).mean(), out - targets.mean(0)))
    scores = torch.from_numpy(min(fits, key=lambda each: each[0])[1]).float()
    expected = F.cross_entropy(fit_scale(scores, labels) * scores, labels, reduction="none")
    # The offset of the fit without an image is another mean than that of all: the difference is of the size of 1 / 24.
    torch.testing.assert_close(
        LeaveOut(find_task("multiclass"), labels, 3).losses(kernel), expected, rtol=0.02, atol=0.02
    )


def test_the_choice_is_part_of_the_adapter():
    """Classes that differ in how channels of one of four taps go together; another adapter takes over the buffers."""
    taps = {**{str(n): (6, 5, 5) for n in range(4)}, "last": (4,)}
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    maps = {tap: torch.randn(120, *shape, generator=generator) for tap, shape in taps.items()}
    for kind in range(3):
        maps["1"][labels == kind, kind + 1] = maps["1"][labels == kind, kind]
    adapter, other = (build_adapter("udta", taps, 3) for _ in range(2))
    assert not adapter.chosen[1]
    adapter.solve([Batch(maps, labels, torch.arange(120))])
    assert adapter.chosen[1]
    other.load_state_dict(adapter.state_dict())
    assert torch.equal(other.pool(maps), adapter.pool(maps))


def test_principal_directions_and_a_choice_that_is_made_look_at_no_label():
    adapter = build_adapter("udta", MAPS, N_CLASSES, directions="principal")
    before = adapter.scale.clone(), adapter.chosen.clone()
    adapter.solve(every_view(MAPS))
    assert torch.equal(adapter.scale, before[0])
    assert torch.equal(adapter.chosen, before[1])
    assert not adapter.solves_labels
