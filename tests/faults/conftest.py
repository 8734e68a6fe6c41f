"""What tests of growing stores are given: the store before it grows, for every engine, and what can go wrong."""

import pytest
from grown_stores import OLD, write

from udta.store import ENGINES


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def path(tmp_path, engine):
    write(tmp_path / "store", OLD, engine)
    return tmp_path / "store"


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr("udta.store._folder_lock.PATIENCE_S", 0)


@pytest.fixture
def _two_steps(monkeypatch):
    """A kernel or file system that cannot exchange two names at once."""
    monkeypatch.setattr("udta.store._staging.exchange_in_one_step", lambda *_: False)
