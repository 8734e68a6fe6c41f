"""`params.yaml`: what a project builds. Every mistake in it is reported at once, with the nearest valid name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from udta._files.validation import LocalPath, Mark, Options
from udta._files.yaml_file import load_yaml
from udta.errors import ConfigError, did_you_mean
from udta.extraction.options import StoreOptions
from udta.labels.options import LabelOptions
from udta.training.options import AdapterSettings, TrainOptions

# A name is a folder's, part of a stage's (`train@letters-fonts`), and a key that DVC looks up in this file.
_NAME = re.compile(r"\w[\w-]{0,99}")


class Paths(Options):
    """Folders: `images` holds those of datasets that name none, `weights` the weight files, `out` and `stores` what is built."""

    images: LocalPath = Path("images")
    # Nothing is written there, so whoever opens a weights file says what is wrong with its place.
    weights: Path = Path("weights")
    out: LocalPath
    stores: LocalPath


class Run(Options):
    """What to build: keys of the tables `backbones`, `datasets` and `adapters`; `generate` lists datasets that are made here."""

    generate: list[str] = Field(default=[])
    backbones: list[str] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    adapters: list[str] = Field(min_length=1)


class DatasetParams(LabelOptions):
    """One dataset: where its images are, their split and their labels.

    An entry with `images` names each file by its path. One without lies in the folder of its name in `paths.images`, with its
    files of splits and labels; `maker` is the folder below `data/` of this repository that may make it.
    """

    # On the command line it is the argument.
    images: Annotated[str | None, Mark.PYTHON_ONLY] = Field(None, description="What `udta extract` takes as IMAGES.")
    splits: Path | None = Field(
        None, description="CSV path,split; without it the split that IMAGES has, else a seeded stratified 70/30 one."
    )
    maker: Annotated[str | None, Mark.PYTHON_ONLY] = Field(
        None, description="A folder below `data/` of this repository."
    )
    seed: int = Field(0, description="Of that 70/30 split.")


class AdapterParams(AdapterSettings):
    """One adapter with its options and what differs from its recipe."""

    # No default, as in `udta train`: an entry is read by people years later.
    adapter: str
    seed: int = TrainOptions.model_fields["seed"]  # type: ignore[assignment]  # with its help


class Params(Options):
    """The whole file."""

    run: Run
    paths: Paths
    backbones: dict[str, StoreOptions]
    datasets: dict[str, DatasetParams]
    adapters: dict[str, AdapterParams]

    def weights(self, backbone: str) -> str | None:
        """The weights of a backbone, with `{weights}` replaced by `paths.weights`; None where the file leaves them out."""
        weights = self.backbones[backbone].weights
        # No `format`: other braces in a path are characters of its name.
        return None if weights is None else weights.replace("{weights}", str(self.paths.weights))

    def images(self, dataset: str) -> str:
        """What a dataset's images are called, as `udta extract` takes them."""
        return self.datasets[dataset].images or str(self.paths.images / dataset)

    def file_of(self, dataset: str, field: str) -> Path | None:
        """A file that the entry of a dataset names in this field, `splits` or `labels`; None where it names none."""
        entry = self.datasets[dataset]
        file: Path | None = getattr(entry, field)
        return file if file is None or entry.images else self.paths.images / dataset / file


def load_params(path: Path) -> Params:
    """Read and check the file.

    Raises:
        ConfigError: it is not there, not YAML, or wrong in any number of places; all of them are listed.
    """
    # DVC starts a stage where dvc.yaml lies; people start one anywhere.
    if not path.exists():
        raise ConfigError(
            f"{path}: there is no such file; run this in the folder of a project, which `udta init` makes"
        )
    return check_params(load_yaml(path), path)


def check_params(document: Any, path: Path) -> Params:
    """What the file says, as it was parsed; `path` is what its errors call it.

    Raises:
        ConfigError: it is wrong in any number of places; all of them are listed.
    """
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: is empty or no mapping")
    params = Params.checked(document, str(path), "setting")
    # Only of a file whose every table has its kind: names are looked up across tables.
    if problems := [*_wrong_names(path, params), *_unknown_names(path, params)]:
        raise ConfigError(problems)
    return params


def _wrong_names(path: Path, params: Params) -> list[str]:
    """Names become folders, and DVC looks them up in this file, where a dot leads one level down."""
    run = params.run
    tables = {"backbones": run.backbones, "generate": run.generate, "datasets": run.datasets, "adapters": run.adapters}
    problems = [
        f"{path}: run.{table} names {name!r}: a name has letters, digits, _ and - only, 100 at the most, since it names a folder "
        "and DVC takes a dot for a level of this file; rename the entry"
        for table, names in tables.items()
        for name in names
        if not _NAME.fullmatch(name)
    ]
    # `a-b` with `c`, and `a` with `b-c`, would be one stage and one folder.
    for names in ((run.backbones, run.datasets), (run.backbones, run.datasets, run.adapters)):
        counted = Counter("-".join(chosen) for chosen in product(*names))
        problems += [
            f"{path}: run has several combinations that would be called {name!r}: names have to differ"
            for name, times in counted.items()
            if times > 1
        ]
    return problems


def _unknown_names(path: Path, params: Params) -> list[str]:
    tables: Sequence[tuple[str, list[str], Mapping[str, object]]] = (
        ("backbones", params.run.backbones, params.backbones),
        ("generate", params.run.generate, params.datasets),
        ("datasets", params.run.datasets, params.datasets),
        ("adapters", params.run.adapters, params.adapters),
    )
    problems = [
        f"{path}: run.{table} names {name!r}, which has no entry in this file: {did_you_mean(name, entries)}"
        for table, names, entries in tables
        for name in names
        if name not in entries
    ]
    return problems + [
        f"{path}: run.generate names {name!r}, but datasets.{name} has no maker"
        for name in params.run.generate
        if name in params.datasets and params.datasets[name].maker is None
    ]
