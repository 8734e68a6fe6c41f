"""The registry of checks, and the call that goes through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from udta.diagnosis import _accelerator, _resources, _software
from udta.diagnosis._check import Check

# In the order of the report: a function of the folder that shall be worked in.
CHECKS: dict[str, Callable[[Path], Check]] = {
    "python": _software.python,
    "torch": _software.torch_pairing,
    "gpu": _accelerator.gpu,
    "formats": _software.formats,
    "extras": _software.extras,
    "project": _software.project,
    "locale": _software.locale_of_names,
    "cores": _resources.cores,
    "memory": _resources.memory,
    "open files": _resources.open_files,
    "temporary": _resources.temporary,
    "disk": _resources.disk,
}


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one folder on one machine, in the order of `CHECKS`."""

    directory: str
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing failed; warnings are of what is slow or left out."""
        return not any(check.status == "fail" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Every check, and whether all is well."""
        return {**asdict(self), "healthy": self.healthy}

    def __str__(self) -> str:
        lines = []
        for check in self.checks:
            lines.append(f"{check.status:4}  {check.name:10}  {check.found}")
            lines += [f"      -> {check.advice}"] if check.advice else []
        count = {status: sum(check.status == status for check in self.checks) for status in ("warn", "fail")}
        said = [f"{n} {status}" for status, n in count.items() if n]
        return "\n".join([*lines, f"{len(self.checks)} checks: {', '.join(said) or 'all is well'}"])


def doctor(directory: str | Path = ".") -> Diagnosis:
    """Look at what udta needs here, and say what to do: Python, torch, GPU, formats, extras, cores, memory, limits, disk.

    Takes some seconds, most of them for importing torch. At most 64 MB are written to `directory` for about a second, to a file
    without a name, which is gone whatever happens.

    Args:
        directory: where stores are to be written: its disk is measured.

    Returns:
        A finding for each thing that was looked at, and what to do.

    Example:
        >>> print(udta.doctor())  # doctest: +SKIP
    """
    folder = Path(directory)
    return Diagnosis(str(folder), tuple(_looked_at(name, check, folder) for name, check in CHECKS.items()))


def _looked_at(name: str, check: Callable[[Path], Check], folder: Path) -> Check:
    try:
        return check(folder)
    # Whatever is broken here is what was asked for: libraries fail to load in every way there is.
    except Exception as error:
        return Check(name, "fail", f"cannot be looked at: {type(error).__name__}: {error}", "reinstall what it names")
