"""Thin adapters: small modules from stored taps to logits, and the file that carries one."""

from udta.adapters.base import Adapter, AdapterOptions, PooledAdapter, Recipe, Samples
from udta.adapters.file import AdapterHeader, load_adapter, save_adapter
from udta.adapters.registry import ADAPTERS, build_adapter, find_adapter

__all__ = [
    "ADAPTERS",
    "Adapter",
    "AdapterHeader",
    "AdapterOptions",
    "PooledAdapter",
    "Recipe",
    "Samples",
    "build_adapter",
    "find_adapter",
    "load_adapter",
    "save_adapter",
]
