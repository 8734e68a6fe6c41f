"""Warnings and logs of libraries that decode: of odd metadata, and of sizes, which are checked here."""

from __future__ import annotations

import logging
import threading
import warnings

# The filters of warnings are one list for the process: two threads that look and insert at once would put the filter in twice.
_QUIET_LOCK = threading.Lock()
_LIBRARIES = r"(PIL|pillow_heif|pillow_jxl|pydicom|tifffile)(\.|$)"


def silence_decoders() -> None:
    """Put a filter for these libraries' own warnings first, if it is not there.

    `warnings.catch_warnings` would be the tidier way, but it swaps the filters of the whole process: two threads that leave it in
    the wrong order leave everything ignored for good.
    """
    with _QUIET_LOCK:
        first = warnings.filters[0] if warnings.filters else None
        if first is None or first[0] != "ignore" or getattr(first[3], "pattern", None) != _LIBRARIES:
            warnings.filterwarnings("ignore", module=_LIBRARIES)


def silence_log(library: str) -> None:
    """Without a handler of its own, what a library logs goes to the terminal, by way of Python's last resort."""
    logger = logging.getLogger(library)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
