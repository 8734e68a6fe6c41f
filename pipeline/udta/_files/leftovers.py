"""What this process would leave if it ended now: names of temporaries and locks, of whatever thread."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

# Added by who makes one, discarded by who has removed it or given it its own name.
made: set[Path] = set()


def remove_leftovers() -> None:
    """Remove them, before a process ends that cannot wait for those who made them."""
    for path in list(made):
        with suppress(OSError):
            if not path.is_dir():
                path.unlink(missing_ok=True)
            # Between two renames a folder that is replaced lies in there: the next writer puts that right (`atomic.new_folder`).
            elif not (path / "old").exists():
                shutil.rmtree(path, ignore_errors=True)
