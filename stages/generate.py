"""Stage generate: the images of an offline dataset, made by `data/<maker>/prepare.py`."""

from __future__ import annotations

import sys
from importlib import import_module

from _common import Params, run

sys.path.insert(0, "")  # `data` is a folder of the repository, not of the package


def generate(params: Params, name: str) -> None:
    """Write the folder `<paths.images>/<name>`."""
    import_module(f"data.{params.datasets[name].maker}.prepare").prepare(params.paths.images / name)


if __name__ == "__main__":
    run(generate, "generate")
