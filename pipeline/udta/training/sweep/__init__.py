"""Many adapters from one pass over the data of every epoch."""

from udta.training.sweep.sweep import sweep

__all__ = ["sweep"]
