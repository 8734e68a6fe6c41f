"""The registry of engines: whatever is in there passes the contract."""

import importlib

import pytest
from store_contract import StoreContract

from udta.store import ENGINES


@pytest.mark.parametrize("name", ENGINES)
def test_a_format_is_that_of_its_engine(name):
    assert ENGINES[name].format == name


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_tested_by_the_contract(name):
    found = vars(importlib.import_module(f"test_{name}_engine")).values()
    contracts = [each for each in found if isinstance(each, type) and issubclass(each, StoreContract)]
    assert name in [getattr(each, "format", None) for each in contracts]
