from task_contract import N_OUTPUTS, N_SAMPLES, TaskContract


class TestMulticlass(TaskContract):
    name = "multiclass"

    def labels(self, rng):
        return rng.permutation(N_SAMPLES) % N_OUTPUTS
