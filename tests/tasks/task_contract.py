"""What every task promises. The tests of one inherit `TaskContract`."""

import json

import numpy as np
import pytest
import torch

from udta.tasks import find_task

N_OUTPUTS, N_SAMPLES = 4, 30


class TaskContract:
    """Set `name`, and `labels(generator)`: of 30 samples, 4 outputs."""

    name: str

    def labels(self, rng):
        raise NotImplementedError

    @pytest.fixture
    def task(self):
        return find_task(self.name)

    @pytest.fixture
    def case(self):
        """Labels, and scores that know something of them."""
        rng = np.random.default_rng(0)
        labels = torch.from_numpy(self.labels(rng))
        targets = find_task(self.name).targets(labels, N_OUTPUTS)
        scores = targets + 0.8 * torch.from_numpy(rng.standard_normal((N_SAMPLES, N_OUTPUTS))).float()
        return labels, scores

    def test_targets_are_numbers_of_every_output(self, task, case):
        targets = task.targets(case[0], N_OUTPUTS)
        assert targets.shape == (N_SAMPLES, N_OUTPUTS)
        assert targets.dtype == torch.float32

    def test_losses_of_adapters_side_by_side_are_those_of_each_alone(self, task, case):
        labels, scores = case
        both = torch.stack([scores, -scores])
        targets = task.targets(labels, N_OUTPUTS)[None].expand(2, -1, -1)
        together = task.losses(both, targets)
        alone = [task.losses(each[None], targets[:1])[0] for each in both]
        assert torch.equal(together, torch.stack(alone))
        assert float(together[0]) == pytest.approx(task.loss(scores, labels), rel=1e-5)
        assert float(together[0]) == pytest.approx(float(task.sample_losses(scores, labels).mean()), rel=1e-5)

    def test_what_is_right_is_counted_by_adapter(self, task, case):
        labels, scores = case
        targets = task.targets(labels, N_OUTPUTS)
        right = task.right(torch.stack([100 * targets - 50 * task.calibrated, scores]), torch.stack([targets, targets]))
        assert right[1] < N_SAMPLES
        if task.calibrated:  # scores of a regression are the targets, not signs of them
            assert right[0] == N_SAMPLES
        assert task.accuracy(scores, labels) == pytest.approx(float(right[1]) / N_SAMPLES)

    def test_rescaling_lowers_the_loss_and_keeps_the_order(self, task, case):
        labels, scores = case
        rescaled = task.rescaling(scores, labels)(scores)
        assert task.loss(rescaled, labels) <= task.loss(scores, labels) + 1e-4
        if task.name != "multiclass":  # there it is the order of the classes of a sample that stays
            assert torch.equal(rescaled.argsort(dim=0), scores.argsort(dim=0))

    def test_a_temperature_lowers_the_loss_of_loud_logits(self, task, case):
        labels, scores = case
        loud = 50 * (scores - 0.5)
        quiet = loud / task.temperature(loud, labels)
        assert task.loss(quiet, labels) < task.loss(loud, labels) or not task.calibrated

    def test_figures_are_json_and_say_which_is_better(self, task, case):
        labels, scores = case
        names = [f"output {index}" for index in range(N_OUTPUTS)]
        answers = task.answers(torch.stack([scores, scores], dim=1)).numpy()
        found = task.metrics(answers, labels.numpy(), names)
        assert found == json.loads(json.dumps(found))
        assert found["n"] == N_SAMPLES
        assert found[task.figure] == found[f"{task.figure}_views"]
        worse = task.answers(torch.stack([-scores, -scores], dim=1)).numpy()
        assert task.metrics(worse, labels.numpy(), names)[task.figure] < found[task.figure]

    def test_every_sample_is_of_one_stratum(self, task, case):
        strata = task.strata(case[0].numpy())
        assert strata.shape == (N_SAMPLES,)
        assert strata.dtype == np.int64

    def test_what_no_sample_shows_is_unseen(self, task, case):
        labels = case[0].numpy()
        assert not task.unseen(labels, N_OUTPUTS).any()
        if task.calibrated:
            few = labels[:1]
            assert task.unseen(few, N_OUTPUTS).sum() == N_OUTPUTS - (1 if few.ndim == 1 else few.sum())
