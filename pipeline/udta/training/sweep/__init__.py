"""Many adapters from one pass over the data of every epoch.

sweep         `sweep`: what is asked, going on where it was left, what is left at the end
spec          the file of entries, and the adapters that its grids stand for
tasks         what an adapter sees of a store: its labels, its share of the rows, its taps
trial         one adapter on its way
sharing       what adapters share: what is solved, pooled vectors, batches
group         adapters that step together
vectorised    their parameters in one, for one forward of them all
epochs        the epochs, and what becomes of adapters between them
halving       which are better: losers are stopped early
results       the table, and the best run
"""

from udta.training.sweep.sweep import sweep

__all__ = ["sweep"]
