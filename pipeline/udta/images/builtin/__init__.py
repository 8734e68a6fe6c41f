"""Datasets that are known by name, `name:folder`, with their official splits, read from their archives as they unpack."""

from udta.images.builtin.registry import BUILTIN, list_builtin

__all__ = ["BUILTIN", "list_builtin"]
