"""Many adapters from one pass over the data of every epoch.

_sweep        `sweep`: what is asked, going on where it was left, what is left at the end
_spec         the file of entries, and the adapters that its grids stand for
_tasks        what an adapter sees of a store: its share of the rows, its taps; names of tasks
_trial        one adapter on its way
_sharing      what adapters share: what is solved, pooled vectors, batches
_group        adapters that step together
_vectorised   their parameters in one, for one forward of them all
_epochs       the epochs, and what becomes of adapters between them
_halving      which are better: losers are stopped early
_results      the table, and the best run
"""

from udta.training.sweep._sweep import sweep

__all__ = ["sweep"]
