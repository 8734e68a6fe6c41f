import numpy as np
from task_contract import N_OUTPUTS, N_SAMPLES, TaskContract


class TestRegression(TaskContract):
    name = "regression"

    def labels(self, rng):
        return rng.standard_normal((N_SAMPLES, N_OUTPUTS)).astype(np.float32)
