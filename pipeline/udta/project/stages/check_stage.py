"""Stage check: params.yaml is sound, and what DVC cannot see by itself is written down."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from udta._files.atomic import write_text
from udta.config import Params
from udta.images import images_state
from udta.project._code import code_of
from udta.project._places import checked_path
from udta.project.running import Result
from udta.project.stages.registry import STAGES


def check(params: Params) -> Result:
    """Write `out/checked/`: small files that others depend on by content, so that nothing runs because this did.

    It runs in every `dvc repro`, first. The installed code, and photographs and weights wherever they lie, are no files of the
    project: DVC would never hear of a change, or would have to hash all images a second time.
    """
    write_text(checked_path(params, "params"), "params.yaml is sound\n")
    for stage in STAGES:
        if stage != "check":
            write_text(checked_path(params, "code", stage), code_of(stage))
    images = {name: _images(params, name) for name in params.run.datasets}
    for name, said in images.items():
        write_text(checked_path(params, "images", name), said)
    for name in params.run.backbones:
        write_text(checked_path(params, "backbones", name), _backbone(params, name))
    return {"params": "sound", "images": images}, "params.yaml is sound"


def _images(params: Params, dataset: str) -> str:
    if params.datasets[dataset].maker is not None:
        return "made by the stage generate, on which DVC has an eye\n"
    state = images_state(params.images(dataset))
    files = [params.file_of(dataset, field) for field in ("splits", "labels")]
    # Names, sizes and times, not contents: those are the business of `prepare`, whose manifest has the hash of every image.
    return "".join(
        [
            f"{state.n:,} files, by names, sizes and times {state.digest}\n",
            *(f"{file} {_size_and_time(file)}\n" for file in files if file is not None),
        ]
    )


def _backbone(params: Params, name: str) -> str:
    weights = params.weights(name) or "by default"
    lines = [f"weights {weights} {_size_and_time(Path(weights))}"]
    # A factory of one's own in the project, as `mine:network`: the probe of a store sees what it computes, once it is asked.
    module = params.backbones[name].backbone.partition("?")[0].partition(":")[0]
    source = Path(f"{module.replace('.', '/')}.py")
    if source.is_file():
        lines.append(f"{source} {hashlib.sha256(source.read_bytes()).hexdigest()}")
    return "\n".join([*lines, ""])


def _size_and_time(file: Path) -> str:
    try:
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        return "no file"
    return f"{found.st_size} bytes, {found.st_mtime_ns}"
