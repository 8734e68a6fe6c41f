"""What every contract is given: the engine under test, a layout, a path."""

import pytest
from made_stores import make_layout


class EngineContract:
    """`format` is the name of the engine."""

    format: str

    @pytest.fixture(autouse=True)
    def _this_engine(self, monkeypatch):
        """Writers that do not ask for a format make stores of this engine."""
        monkeypatch.setattr("udta.store._writer.DEFAULT_FORMAT", self.format)

    @pytest.fixture
    def layout(self):
        return make_layout()

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "features"

    def some_file_of_block(self, path, block):
        """A file that holds features of a block."""
        raise NotImplementedError

    def as_a_stranger_sees(self, path, tap):
        """All values of a tap by the library of the format, as stored."""
        raise NotImplementedError

    def record(self, path, block):
        return next((path / "ledger" / f"{block:06d}").iterdir())
