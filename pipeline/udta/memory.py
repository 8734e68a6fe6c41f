"""How much memory this process has taken."""

from __future__ import annotations

import resource
import sys


def peak_memory(*, children: bool = False) -> int:
    """The largest resident set of this process so far, in bytes; with `children`, or of any child that ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    peak = max(resource.getrusage(each).ru_maxrss for each in who)
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but for macOS: getrusage(2)
