"""Stage generate: the images of an offline dataset, made by `data/<maker>/prepare.py`."""

from __future__ import annotations

import sys
from importlib import import_module

from udta._console.messages import messages_shown, say
from udta.config import Params
from udta.errors import UdtaError
from udta.project.running import Result, run_stage

sys.path.insert(0, "")  # `data` is a folder of the repository, not of the package


def generate(params: Params, name: str) -> Result:
    """Write the folder `<paths.images>/<name>`."""
    folder = params.paths.images / name
    import_module(f"data.{params.datasets[name].maker}.prepare").prepare(folder)
    return {"images": str(folder)}, f"{folder} is made"


if __name__ == "__main__":
    try:
        with messages_shown():
            say(run_stage(generate, ("generate",), sys.argv[1:])[1])
    except UdtaError as error:
        say(f"error: {error}", err=True)
        sys.exit(error.exit_status)
