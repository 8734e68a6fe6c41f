"""What is found of one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """`status` is `ok`, `warn` (slow, or not for everything) or `fail`; `advice` is empty where nothing is to do."""

    name: str
    status: Status
    found: str
    advice: str = ""
