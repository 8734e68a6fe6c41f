"""`udta.init`: a small DVC project on photographs of one's own, without a clone of anything."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from udta._console.terminal import one_line
from udta._files.atomic import write_text
from udta._files.locks import one_writer
from udta._files.paths import local_path
from udta.errors import ConfigError, Problems
from udta.project._dvc import dvc_command, init_dvc
from udta.project._naming import backbone_name, dataset_name, from_project

# Of those that come with torchvision the one that a laptop runs at tens of images a second, and whose adapters are measured on
# six sets (docs/accuracy.md).
BACKBONE = "mobilenet_v2"
TEMPLATE = Path(__file__).parent / "template"
_FILES = {"dvc.yaml": "dvc.yaml", "params.yaml": "params.yaml", ".gitignore": "gitignore", "README.md": "README.md"}


@dataclass(frozen=True)
class InitReport:
    """What `udta init` wrote: `files` below `project`, `n_images` found, the backbone and its weights.

    `is_random`: those are random numbers, since nobody named any; a factory of one's own may return others.
    """

    project: Path
    files: tuple[str, ...]
    images: str
    n_images: int
    backbone: str
    weights: str
    is_random: bool

    def to_json(self) -> dict[str, Any]:
        """Every field."""
        return {**vars(self), "project": str(self.project), "files": list(self.files)}

    def __str__(self) -> str:
        lines = [
            f"{self.project}: {', '.join(self.files)}",
            f"images: {self.images}" + (f", {self.n_images:,} files" if self.n_images else ""),
            f"backbone: {self.backbone}"
            + (
                ", small and quick on a CPU; --backbone takes others, see `udta backbones`"
                if self.backbone == BACKBONE
                else ""
            ),
            f"weights: {self.weights}",
        ]
        if self.is_random:
            lines.append(
                "note: without weights the backbone has random numbers: all works, and no figure means anything. For results set"
                " `weights: pretrained` in params.yaml (fetched once), or give a file: --weights FILE"
            )
        return "\n".join(map(one_line, lines))


def init(
    directory: str | Path, *, images: str | Path, backbone: str = BACKBONE, weights: str | None = None
) -> InitReport:
    """Write a DVC project: dvc.yaml, params.yaml with a comment on every value, .gitignore, README.md; and `dvc init` it.

    In a git repository it becomes a DVC repository of that, else one by itself.

    Args:
        directory: a new or an existing folder.
        images: as of `udta.extract`. They stay where they are; a relative path is written relative to the project.
        backbone: as of `udta.extract`.
        weights: a file, `pretrained[@REV]`, a torchvision weight enum, or `none`; by default pretrained of a hub, else none,
            which means random numbers. Nothing is fetched before the project is run.

    Returns:
        What was written, and with which images, backbone and weights.

    Raises:
        ConfigError: something of that name is there, there is no such backbone or weights file, or DVC is not installed.
        DataError: there are no such images.
        UdtaError: DVC refuses the folder.

    Example:
        >>> udta.init("project", images="photos", backbone="resnet18").weights
        'none'
    """
    from udta.backbones import find_source
    from udta.images import images_state

    folder, named, problems = local_path("directory", directory), str(images), Problems()
    with one_writer(folder / "params.yaml"):  # which `add` locks too
        dvc = problems.collect(dvc_command)
        source = problems.collect(find_source, backbone)
        problems.collect(_check_free, folder)
        weights = source.default_weights if weights is None and source else weights or "none"
        found_weights = problems.collect(_weights, weights, folder)
        problems.raise_any()
        n_images = images_state(named).n
        values = {
            "BACKBONE": backbone,
            "BACKBONE_ENTRY": backbone_name(backbone),
            "WEIGHTS": found_weights or weights,
            "DATASET": dataset_name(named),
            "IMAGES": from_project(named, folder),
        }
        _write(folder, {key: _quoted(text) for key, text in values.items()})
        init_dvc(folder, dvc or [])
    is_random = weights == "none" and source is not None and source.name != "factory"
    return InitReport(folder, tuple(_FILES), named, n_images, backbone, weights, is_random)


def _check_free(folder: Path) -> None:
    clashes = [file for file in _FILES if os.path.lexists(folder / file)]
    if clashes:
        raise ConfigError(
            f"{folder} has {', '.join(clashes)} already, and nothing is written over: name another folder, or a new one in it"
        )


def _write(folder: Path, values: dict[str, str]) -> None:
    texts = {file: (TEMPLATE / template).read_text(encoding="utf-8") for file, template in _FILES.items()}
    texts["params.yaml"] = Template(texts["params.yaml"]).substitute(values)
    texts["README.md"] = Template(texts["README.md"]).substitute(PROJECT=folder.resolve().name)
    try:
        for file, text in texts.items():
            write_text(folder / file, text)
    except BaseException:
        # A part of a project would be in the way of the next try.
        for file in texts:
            (folder / file).unlink(missing_ok=True)
        raise


def _weights(weights: str, folder: Path) -> str:
    if Path(weights).is_file():
        return from_project(weights, folder)
    # Enums of torchvision, `none` and `pretrained@main` are words; what has a folder or an ending is a file.
    if not weights.startswith("pretrained") and ("/" in weights or Path(weights).suffix):
        raise ConfigError(f"{weights}: there is no such weights file")
    return weights


def _quoted(value: str) -> str:
    """As it stands in YAML; JSON is some, and a path may hold anything."""
    return (
        value if re.fullmatch(r"[./]*[A-Za-z][\w./-]*", value) and yaml.safe_load(value) == value else json.dumps(value)
    )
