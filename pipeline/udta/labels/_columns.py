"""Which columns of a file of labels are the ids of images, their labels and their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from udta.errors import ConfigError, did_you_mean

IDS, SPLIT = ("path", "id"), "split"
# What a column of labels is called most, by task, where it was not said which one it is.
_USUAL = {"multiclass": ("label",), "multilabel": ("labels", "label")}


@dataclass(frozen=True)
class Columns:
    """Names of columns; `split` is None where there is none."""

    ids: str
    labels: tuple[str, ...]
    split: str | None

    @property
    def all(self) -> list[str]:
        """Those that are read."""
        return list(dict.fromkeys([self.ids, *self.labels, *([self.split] if self.split else [])]))


def choose_columns(where: str, there: Sequence[str], column: str | None, task: str) -> Columns:
    """The columns of a file, out of those that are there.

    Args:
        where: the file, for messages.
        there: names of all columns.
        column: one of them, or several with commas between. By default of `multiclass` that called `label`, of `multilabel`
            `labels` or `label`, otherwise all but those of ids and splits.
        task: what the labels are for.

    Raises:
        ConfigError: there are no ids, a column is not there, or it is not said which of several a class is in.
    """
    problems = []
    ids = next((name for name in IDS if name in there), None)
    if ids is None:
        problems.append(f"{where} has no column {IDS[0]!r} or {IDS[1]!r}: {did_you_mean(IDS[0], there)}")
    named = _named(column, there) if column else []
    problems += [f"{where} has no column {name!r}: {did_you_mean(name, there)}" for name in named if name not in there]
    others = [name for name in there if name not in (*IDS, SPLIT)]
    usual = [name for name in _USUAL.get(task, ()) if name in others][:1]
    chosen = tuple(named or usual or others)
    if not chosen:
        problems.append(f"{where} has no column of labels, only {', '.join(there)}")
    elif task == "multiclass" and len(chosen) > 1:
        problems.append(
            f"{where}: a class is in one column, but here are {', '.join(chosen)}: name it with --column, or see --task"
        )
    if problems or ids is None:
        raise ConfigError(problems)
    return Columns(ids, chosen, SPLIT if SPLIT in there and SPLIT not in chosen else None)


def _named(column: str, there: Sequence[str]) -> list[str]:
    # As it stands first: a comma may be a part of its name.
    return [column] if column in there else [part.strip() for part in column.split(",")]
