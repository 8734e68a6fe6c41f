"""`udta.add_dataset`, `udta.add_backbone` and `udta.add_adapter`: one more entry in the params.yaml of a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from udta._files.atomic import write_bytes
from udta._files.locks import one_writer
from udta._files.validation import Options
from udta._files.yaml_file import parse_yaml
from udta.config import AdapterParams, DatasetParams, check_params, load_params
from udta.errors import ConfigError, Problems
from udta.extraction.options import StoreOptions
from udta.project._naming import from_project
from udta.project._yaml_text import with_entry


def add_dataset(
    name: str,
    images: str | Path,
    *,
    splits: str | Path | None = None,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str = "multiclass",
    separator: str | None = None,
    seed: int = 0,
    project: str | Path = ".",
) -> None:
    """Have a project build one more dataset. Images stay where they are.

    Args:
        name: of the entry: letters, digits, `_` and `-`.
        images: as of `udta.extract`; a relative path is written relative to the project.
        splits: a CSV `path,split`; without it the split that the images have, else a seeded stratified 70/30 one.
        labels: a file of other labels than the images' own; with `column`, `task` and `separator` as of `udta.with_labels`.
        column: of `labels`.
        task: what the labels are for.
        separator: of `labels`.
        seed: of the 70/30 split.
        project: the folder of `params.yaml`.

    Raises:
        ConfigError: there is such an entry already, or what is asked is wrong; every problem is listed. The file is as it was.
        DataError: there are no such images.

    Example:
        >>> udta.add_dataset("colours", "photos", labels="colours.csv", project="project")
    """
    from udta.images import images_state

    named, folder = str(images), Path(project)
    images_state(named)
    files = {field: from_project(str(file), folder) for field, file in (("splits", splits), ("labels", labels)) if file}
    given = {"column": column, "task": task, "separator": separator, "seed": seed, **files}
    _add(folder, "datasets", name, DatasetParams, {"images": from_project(named, folder), **given})


def add_backbone(
    name: str,
    *,
    backbone: str,
    weights: str | None = None,
    taps: str | None = None,
    budget: int | str | None = None,
    views: int = 1,
    format: str | None = None,  # noqa: A002  # as of `udta.extract`
    dtype: str = "float16",
    codec: str = "none",
    compute: str = "auto",
    device: str = "auto",
    on_error: str = "fail",
    seed: int = 0,
    prune: bool = False,
    retry_skipped: bool = False,
    transform: str | None = None,
    augment: str | None = None,
    window: str = "auto",
    allow_impure: bool = False,
    project: str | Path = ".",
) -> None:
    """Have a project extract every dataset with one more backbone.

    Args:
        name: of the entry: letters, digits, `_` and `-`.
        backbone: it and all that follows, as of `udta.extract`.
        weights: a file is written relative to the project where it is given so.
        taps: by default the recommended ones.
        budget: bytes of a view of an image that recommended taps may take.
        views: view 0 is the evaluation transform, the others are augmented.
        format: of the store.
        dtype: in which features are stored.
        codec: of the store.
        compute: arithmetic of the backbone.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: what an image that cannot be used does.
        seed: of the augmented views.
        prune: whether features of images that are gone are removed.
        retry_skipped: whether images that were skipped are tried again.
        transform: replaces the backbone's evaluation transform.
        augment: the transform of the other views.
        window: black and white of images of more than 8 bits.
        allow_impure: of a backbone that is no function of one image.
        project: the folder of `params.yaml`.

    Raises:
        ConfigError: there is such an entry already, no such backbone, or what is asked is wrong. The file is as it was.

    Example:
        >>> udta.add_backbone("small", backbone="mobilenet_v2", weights="none", project="project")
    """
    given = StoreOptions.among(locals())
    from udta.backbones import find_source

    find_source(backbone)
    if weights and Path(weights).is_file():
        given["weights"] = from_project(weights, Path(project))
    _add(Path(project), "backbones", name, StoreOptions, given)


def add_adapter(
    name: str,
    *,
    adapter: str,
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    project: str | Path = ".",
) -> None:
    """Have a project train one more adapter on every store.

    Args:
        name: of the entry: letters, digits, `_` and `-`.
        adapter: which; `udta`, `linear` and so on.
        options: its own, such as `{"width": 64}`.
        recipe: what differs from its recipe, such as `{"epochs": 20}`.
        seed: of initial weights, order, views and mixup.
        project: the folder of `params.yaml`.

    Raises:
        ConfigError: there is such an entry already, no such adapter, option or field of a recipe. The file is as it was.

    Example:
        >>> udta.add_adapter("narrow", adapter="udta", options={"width": 32}, project="project")
    """
    from udta.adapters import find_adapter

    problems = Problems()
    if found := problems.collect(find_adapter, adapter):
        problems.collect(found.options_type.checked, options or {}, f"adapter {adapter!r}")
        problems.collect(found.recipe_with, recipe or {})
    problems.raise_any()
    given = {"adapter": adapter, "options": dict(options or {}), "recipe": dict(recipe or {}), "seed": seed}
    _add(Path(project), "adapters", name, AdapterParams, given)


def _add(folder: Path, table: str, name: str, model: type[Options], given: Mapping[str, Any]) -> None:
    path = folder / "params.yaml"
    # What is as it is by default is left out, but for what an entry is about: a file that people read has what somebody chose.
    entry = {
        field: value
        for field, value in given.items()
        if model.model_fields[field].is_required() or value != model.model_fields[field].default
    }
    model.checked(entry)
    with one_writer(path):
        params = load_params(path)
        if name in (there := getattr(params, table)):
            raise ConfigError(f"{path}: {table} has an entry {name!r}; choose another name than {', '.join(there)}")
        content = with_entry(path.read_bytes(), path, table, name, entry)
        # As DVC and the stages will read it, before there is anything to read.
        check_params(parse_yaml(content, path), path)
        write_bytes(path, content)
