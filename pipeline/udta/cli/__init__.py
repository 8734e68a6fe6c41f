"""The `udta` command: a thin layer over the library, one file for each verb."""

import os
import sys

# It is read when torch's OpenMP is loaded, so before that: threads that have to wait sleep, instead of keeping cores from those
# that they wait for (`udta._machine.cores`).
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from udta.cli.main import main

__all__ = ["main"]
