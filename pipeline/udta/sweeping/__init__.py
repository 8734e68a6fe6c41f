"""Many adapters from one pass over the data of every epoch."""

from udta.sweeping.run import sweep

__all__ = ["sweep"]
