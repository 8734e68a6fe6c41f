"""`params.yaml`: what the stage graph builds. Every mistake in it is reported at once, with the nearest valid name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from udta._files.paths import local_path
from udta._files.yaml_file import load_yaml
from udta.errors import ConfigError, did_you_mean

_NAME = re.compile(r"\w[\w-]{0,99}")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _local(value: Any) -> Any:
    """Refuse a URL before it is taken for a folder."""
    try:
        return local_path("it", value) if isinstance(value, str) else value
    except ConfigError as error:
        raise ValueError(str(error)) from error


_LocalPath = Annotated[Path, BeforeValidator(_local)]


class Paths(_Table):
    """Folders: `images` holds one for each dataset, `weights` the weight files, `out` and `stores` what is built."""

    images: _LocalPath
    weights: Path
    out: _LocalPath
    stores: _LocalPath


class Run(_Table):
    """What to build: keys of the tables `backbones`, `datasets` and `adapters`; `generate` lists datasets that are made here."""

    generate: list[str] = []
    backbones: list[str] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    adapters: list[str] = Field(min_length=1)


class BackboneParams(_Table):
    """One backbone with everything that decides its features; the fields are the options of `udta extract`."""

    backbone: str
    weights: str = "none"
    taps: str
    views: int = Field(default=1, ge=1)
    transform: str | None = None
    augment: str | None = None
    dtype: Literal["float16", "float32", "bfloat16", "uint8"] = "float16"
    codec: Literal["none", "zstd", "gzip", "lzf"] = "none"
    format: Literal["zarr", "hdf5"] | None = None
    compute: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    on_error: Literal["fail", "skip"] = "fail"
    prune: bool = False
    retry_skipped: bool = False
    allow_impure: bool = False
    seed: int = 0


class DatasetParams(_Table):
    """One dataset in `paths.images`: its split file there, and the folder below `data/` that makes it, if any does."""

    splits: str | None = None
    maker: str | None = None
    seed: int = 0


class AdapterParams(_Table):
    """One adapter with its options and what differs from its recipe."""

    adapter: str
    # YAML has no way to write an empty mapping but `{}`; an empty entry means the same.
    options: Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})] = {}
    recipe: Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})] = {}
    seed: int = 0


class Params(_Table):
    """The whole file."""

    run: Run
    paths: Paths
    backbones: dict[str, BackboneParams]
    datasets: dict[str, DatasetParams]
    adapters: dict[str, AdapterParams]

    def weights(self, backbone: str) -> str:
        """The weights of a backbone, with `{weights}` replaced by `paths.weights`."""
        return self.backbones[backbone].weights.replace("{weights}", str(self.paths.weights))


def load_params(path: Path) -> Params:
    """Read and check the file.

    Raises:
        ConfigError: it is not there, not YAML, or wrong in any number of places; all of them are listed.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file; run this from the top of the repository")
    document = load_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: is empty or no mapping")
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        raise ConfigError([_problem(path, detail) for detail in error.errors()]) from error
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


def _problem(path: Path, detail: Any) -> str:
    where = ".".join(map(str, detail["loc"]))
    if detail["type"] != "extra_forbidden":
        return f"{path}: {where}: {detail['msg']}"
    return (
        f"{path}: {where}: there is no such setting: {did_you_mean(str(detail['loc'][-1]), _valid_keys(detail['loc']))}"
    )


def _valid_keys(location: tuple[int | str, ...]) -> list[str]:
    """The settings that are valid where an unknown one was found."""
    tables: dict[str, type[BaseModel]] = {
        "run": Run,
        "paths": Paths,
        "backbones": BackboneParams,
        "datasets": DatasetParams,
        "adapters": AdapterParams,
    }
    model = Params if len(location) == 1 else tables[str(location[0])]
    return list(model.model_fields)
