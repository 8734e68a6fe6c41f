"""Whether a notebook runs us."""

from __future__ import annotations

import sys


def in_notebook() -> bool:
    """Whether a notebook runs this, whose cells show widgets; a shell of IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config
