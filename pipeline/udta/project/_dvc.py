"""`dvc init`, in a process of its own: to import DVC takes half a second, and it changes the process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from udta._files.atomic import write_text
from udta.errors import ConfigError, UdtaError

# No word to anybody about what is run here, and no look at a registry: a project works without a network.
_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"


def dvc_command() -> list[str]:
    """What runs DVC. Raises `ConfigError`: it is not installed."""
    if find_spec("dvc"):
        return [sys.executable, "-m", "dvc"]
    if found := shutil.which("dvc"):
        return [found]
    raise ConfigError("a project is run by DVC, which is not installed: pip install 'udta[project]'")


def init_dvc(folder: Path, dvc: list[str]) -> None:
    """Make a DVC repository of a folder, of git's or by itself; one that is there stays as it is.

    Raises:
        UdtaError: DVC refuses, with what it says.
    """
    if (folder / ".dvc").is_dir():
        return
    git = next((parent for parent in (folder.resolve(), *folder.resolve().parents) if (parent / ".git").exists()), None)
    how = ["--no-scm"] if git is None else [] if git == folder.resolve() else ["--subdir"]
    arguments = ["init", "--quiet", *how]
    done = subprocess.run(
        [*dvc, *arguments],
        cwd=folder,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise UdtaError(f"{folder} is written, but `dvc {' '.join(arguments)}` failed there; run it by hand:\n{said}")
    config = folder / ".dvc" / "config"
    text = config.read_text()
    # `--no-scm` and `--subdir` write a section `core` of their own.
    write_text(config, text.replace("[core]\n", _CONFIG, 1) if "[core]\n" in text else text + _CONFIG)
