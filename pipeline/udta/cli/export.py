"""`udta export`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, STORE, Choice, json_option, summarise

_MOST = 10**9  # more than any store has rows; as a list of numbers a range has to fit into memory


@click.command(
    short_help="Features in other tools' formats.",
    epilog="""\b
Example:
  udta export photos.zarr --to parquet --taps layer4 --pool avg --out features
  udta export photos.zarr --to hdf5 --out photos.h5""",
)
@click.argument("store", type=STORE)
@click.option(
    "--to",
    required=True,
    type=Choice(lambda: _exporting().FORMATS),
    help="The format; hdf5 and zarr make a store with the same bits.",
)
@click.option("--out", required=True, type=OUT, help="A new folder; it appears when everything is in it.")
@click.option("--taps", help="Names, separated by commas; all by default.")
@click.option("--views", help="Numbers or all; 0 by default, all for a store.")
@click.option("--split", help="Rows of this split only.")
@click.option("--rows", help="These rows only, such as 0,5,7-20.")
@click.option(
    "--pool", type=Choice(lambda: _exporting().POOLS), default="none", show_default=True, help="Over positions."
)
@click.option(
    "--dtype", type=Choice(lambda: _exporting().DTYPES), help="The stored one by default, float32 in Parquet."
)
@json_option
def export(
    store: Path,
    to: str,
    out: Path,
    taps: str | None,
    views: str | None,
    split: str | None,
    rows: str | None,
    pool: str,
    dtype: str | None,
    as_json: bool,
) -> None:
    """Write features of STORE for other tools, beside a manifest with what they were made from."""
    from udta.exporting import export as run

    with ProgressDisplay("rows", "nothing was written; the same command starts again") as progress:
        report = run(
            store,
            to=to,
            out=out,
            taps=[name.strip() for name in taps.split(",")] if taps else None,
            views="all" if views == "all" else _numbers(views, "--views"),
            split=split,
            rows=_numbers(rows, "--rows"),
            pool=pool,
            dtype=dtype,
            progress=progress,
        )
    # A store again is for our own verbs; what other tools read is theirs.
    following = [["udta", "info", out]] if to in ("hdf5", "zarr") else []
    summarise(as_json, report.to_json(), str(report), following)


def _exporting() -> ModuleType:
    from udta import exporting  # torch with it, so not before somebody exports or asks what may be chosen

    return exporting


def _numbers(text: str | None, option: str) -> list[int] | None:
    """`0,5,7-9` as 0, 5, 7, 8, 9."""
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        # `isdecimal`, since `int` takes `+7` and `1_000` as well. A range holds its last, as pages of a printer do.
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise click.BadParameter(
                f"{part.strip()!r} is neither a number nor a range such as 7-20", param_hint=option
            )
        start, stop = int(first), int(last or first)
        if not start <= stop < _MOST:
            raise click.BadParameter(f"{part.strip()!r} is no range of rows or views", param_hint=option)
        numbers += range(start, stop + 1)
    return numbers
