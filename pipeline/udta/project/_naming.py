"""What an entry of params.yaml is called where nobody says it, and how files are named from a project's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path


def dataset_name(images: str) -> str:
    """What a dataset is called after: a folder, a file without its ending, the end of a name or a pattern."""
    path = Path(images)
    if path.exists():
        return _as_entry(path.stem if path.is_file() else Path(os.path.abspath(images)).name)  # noqa: PTH100  # no links
    return _as_entry(_last(images))


def backbone_name(spec: str) -> str:
    """`mobilenet_v2` of `torchvision.models:mobilenet_v2?width_mult=0.5`."""
    return _as_entry(_last(spec))


def from_project(named: str, project: Path) -> str:
    """A path that was given in the working directory, as it is to be written in `params.yaml`.

    An absolute one stays, since it may be on another disk; a relative one is named from the project, so that both can be moved
    together. Names that are no paths, such as `hf-dataset:ORG/NAME`, stay too.
    """
    name, colon, folder = named.partition(":")
    # `flowers102:data`: a set that is known by name, and its folder.
    if colon and not Path(named).exists():
        return named if name == "hf-dataset" else f"{name}:{from_project(folder, project)}" if folder else named
    if Path(named).is_absolute() or named.startswith("~"):
        return named
    # Without links in the project's part: `..` of a link leads out of what it points to.
    return os.path.relpath(Path.cwd() / named, project.resolve())


def _last(text: str) -> str:
    return re.split(r"[:/]", text.partition("?")[0])[-1]


def _as_entry(text: str) -> str:
    """Letters, digits, `_` and `-` only: it is a folder's and a part of a stage's."""
    return re.sub(r"[^\w-]+|--+", "-", text).strip("-_")[:100] or "photos"
