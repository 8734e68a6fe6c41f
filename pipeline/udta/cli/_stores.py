"""Several stores in one command: the k-th of each option that is repeated make the k-th store."""

from __future__ import annotations

from typing import Any

from udta.errors import Problems


def stores_of(options: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The options of each store, and those that hold for all: the k-th of each option that is repeated make the k-th store.

    What is given once (or not at all) holds for every store, but for `--out`.

    Raises:
        ConfigError: other numbers than one and that of the stores.
    """
    # Here, after `udta --help` has imported this module: it imports pydantic.
    from udta._files.validation import Mark
    from udta.extraction.options import ExtractOptions

    given = {name: options[name] for name in ExtractOptions.marked(Mark.REPEATED)}
    n = max(map(len, given.values()))
    problems = Problems()
    for name, values in given.items():
        if len(values) != n and (len(values) > 1 or name == "out"):
            once = "" if name == "out" else ", or once for all"
            # Neither cut short nor repeated: a store with another's weights would look entirely normal.
            problems.add(f"--{name} is given {_times(len(values))}, but there are {n} stores: give it {n} times{once}")
    problems.raise_any()
    stores = [
        {name: values[number % len(values)] if values else None for name, values in given.items()}
        for number in range(n)
    ]
    return stores, {name: value for name, value in options.items() if name not in given}


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
