import pytest

from udta.errors import ConfigError
from udta.tasks import TASKS, find_task


def test_tasks_are_found_by_name_and_misspellings_are_told():
    assert {find_task(name).name for name in TASKS} == {"multiclass", "multilabel", "regression"}
    with pytest.raises(ConfigError, match="'multilabel'"):
        find_task("multilable")
