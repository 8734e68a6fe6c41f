"""What is a URL and no local path."""

from __future__ import annotations

import re
from pathlib import Path

# `s3://bucket/x`, and what `pathlib` makes of it: `s3:/bucket/x`.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def is_url(path: str | Path) -> bool:
    """Whether a place is named by a URL."""
    return _URL.match(str(path)) is not None
