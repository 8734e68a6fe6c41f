"""The options that `udta extract` and `udta plan` share."""

from __future__ import annotations

from functools import reduce
from typing import Any

import click

from udta.cli._common import OUT, PATH, Function, device_option, on_error_option
from udta.errors import Problems

_OPTIONS: list[Any] = [
    click.option(
        "--backbone",
        multiple=True,
        required=True,
        help="A torchvision or timm name, or package.module:factory?key=value; several: see the second example.",
    ),
    click.option(
        "--weights",
        multiple=True,
        default=["none"],
        show_default=True,
        help="A file, a torchvision weight enum, or none.",
    ),
    click.option(
        "--taps",
        multiple=True,
        required=True,
        help="Modules to keep, each with an optional reducer: none, grid(n), avg, cls, tokens.",
    ),
    click.option("--out", multiple=True, required=True, type=OUT, help="The store; an unfinished one is continued."),
    click.option(
        "--views", default=1, show_default=True, help="View 0 is the evaluation transform, the others are augmented."
    ),
    click.option(
        "--format",
        type=click.Choice(["zarr", "hdf5"]),
        help="Store engine; zarr for a new store, else the one that is there.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float16", "float32", "bfloat16", "uint8"]),
        default="float16",
        show_default=True,
        help="How features are stored; uint8 has a scale and offset per channel.",
    ),
    click.option(
        "--codec",
        type=click.Choice(["none", "zstd", "gzip", "lzf"]),
        default="none",
        show_default=True,
        help="Lossless compression: smaller by a little, slower to read by a lot.",
    ),
    click.option(
        "--splits",
        type=PATH,
        help="CSV path,split; without it the split that IMAGES has, else a seeded stratified 70/30 one.",
    ),
    click.option(
        "--compute",
        multiple=True,
        default=["auto"],
        show_default=True,
        help="Arithmetic of the backbone: auto, float32, bfloat16, float16; with +compile, by compiled code.",
    ),
    device_option,
    click.option(
        "--decoder",
        type=click.Choice(["pillow", "nvjpeg"]),
        default="pillow",
        show_default=True,
        help="nvjpeg decodes plain JPEGs and makes their views on the GPU; its pixels differ a little from Pillow's.",
    ),
    on_error_option,
    click.option("--seed", default=0, show_default=True, help="Of the augmented views and the split."),
    click.option(
        "--prune",
        is_flag=True,
        help="Remove the rows of images that are gone; refused without, as a disk may be missing.",
    ),
    click.option(
        "--retry-skipped", is_flag=True, help="Try images again that an earlier run skipped, as --on-error fail does."
    ),
    click.option("--workers", type=int, help="Processes; one by default, or one for each GPU."),
    click.option("--prefetch", default=4, show_default=True, help="Batches decoded ahead of the backbone."),
    click.option(
        "--transform",
        multiple=True,
        help="Replaces the backbone's evaluation transform, such as 'resize(256)|centre_crop(224)'.",
    ),
    click.option(
        "--allow-impure",
        is_flag=True,
        help="Extract a backbone that is no function of one image, such as one that draws random numbers.",
    ),
    click.option(
        "--augment", help="The transform of the other views, such as 'random_resized_crop(224,scale=0.35..1)|flip'."
    ),
]


# The k-th of each belong together: they are one store of several.
_OF_A_STORE = ("backbone", "weights", "taps", "out", "compute", "transform")


def stores_of(options: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The options of each store, and those that hold for all.

    What is given once (or not at all) holds for every store, but for `--out`.

    Raises:
        ConfigError: other numbers than one and that of the stores.
    """
    given = {name: options[name] for name in _OF_A_STORE}
    n = max(map(len, given.values()))
    problems = Problems()
    for name, values in given.items():
        if len(values) != n and (len(values) > 1 or name == "out"):
            once = "" if name == "out" else ", or once for all"
            problems.add(f"--{name} is given {_times(len(values))}, but there are {n} stores: give it {n} times{once}")
    problems.raise_any()
    stores = [
        {name: values[number % len(values)] if values else None for name, values in given.items()}
        for number in range(n)
    ]
    return stores, {name: value for name, value in options.items() if name not in _OF_A_STORE}


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def extract_options(function: Function) -> Function:
    """All of them, as a decorator; the help shows them in this order."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), function)
