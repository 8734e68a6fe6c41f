"""Summaries: what a store, a run or a folder of runs is, as its files tell it. Nothing is computed, and torch is not loaded.

_info         the public call `udta.info`: what lies at a path
_store_info   rows, taps, what it was made from, whether it is complete
_run_info     adapter, options, recipe, classes, figures, how it was trained
_runs_info    a line for each run below a folder, such as that of a sweep
_lines        pieces of text that these have in common
"""

from udta.summary._info import info
from udta.summary._run_info import RunInfo
from udta.summary._runs_info import RunsInfo
from udta.summary._store_info import StoreInfo

__all__ = ["RunInfo", "RunsInfo", "StoreInfo", "info"]
