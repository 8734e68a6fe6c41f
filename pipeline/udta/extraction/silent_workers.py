"""Workers that are neither heard of nor dead: one that was stopped (SIGSTOP) keeps the blocks that it has claimed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

# Twelve signs of life that did not come; a process that starts from a slow disk may take half of it.
PATIENCE_S = 60.0


class Silence:
    """Which of the living workers have not given a sign of life for `patience` seconds, by their process ids."""

    def __init__(
        self, pids: Sequence[int], patience: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pids, self._patience, self._clock = pids, patience, clock
        self._heard = dict.fromkeys(range(len(pids)), clock())

    def __bool__(self) -> bool:
        """Whether anybody lives."""
        return bool(self._heard)

    def heard(self, number: int) -> None:
        """Worker `number` gave a sign of life."""
        self._heard[number] = self._clock()

    def ended(self, number: int) -> None:
        """Nothing is to be heard of it any more."""
        del self._heard[number]

    def __str__(self) -> str:
        """Who is silent, for how long, and what to do; empty where nobody is."""
        silent = {number: self._clock() - heard for number, heard in self._heard.items()}
        return ", ".join(
            f"worker {number} (process {self._pids[number]}) has not answered for {seconds:.0f} s: if it was "
            "stopped, `kill -CONT` lets it go on; if it is killed, the others take its blocks over"
            for number, seconds in silent.items()
            if seconds >= self._patience
        )
