"""Stage check: nothing is made or removed before `params.yaml` has been found sound."""

from __future__ import annotations

from _common import Params, run

from udta._files.atomic import write_text


def check(params: Params) -> None:
    """Write `out/checked.txt`, which the first stages depend on; it never changes, so they do not run again because of it."""
    write_text(params.paths.out / "checked.txt", "params.yaml is sound\n")


if __name__ == "__main__":
    run(check)
