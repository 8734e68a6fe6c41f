"""The `udta` command: a thin layer over the library, one file for each verb."""

from udta.cli.main import main

__all__ = ["main"]
