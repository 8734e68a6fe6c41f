import numpy as np
from task_contract import N_OUTPUTS, N_SAMPLES, TaskContract

from udta.tasks import find_task


class TestMultilabel(TaskContract):
    name = "multilabel"

    def labels(self, rng):
        return (rng.uniform(size=(N_SAMPLES, N_OUTPUTS)) < 0.4).astype(np.float32)


def test_images_are_dealt_out_by_their_rarest_label():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype=np.float32)
    assert find_task("multilabel").strata(labels).tolist() == [1, 0, 2, 1, 3, 2]
