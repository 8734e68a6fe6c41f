"""The command as the tests run it."""

import pytest

from udta.cli import main


@pytest.fixture
def udta_command(capsys):
    """Run the command in this process: (status, out, err)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return caught.value.code, captured.out, captured.err

    return run
