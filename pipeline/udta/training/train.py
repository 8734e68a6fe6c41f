"""Training one adapter from a store: nothing here knows of images or backbones, and no gradient can reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike

from udta._console.progress import Listener, heard
from udta._files.locks import one_writer_of
from udta._machine.device import resolve_device
from udta.adapters import Adapter, Recipe, find_adapter
from udta.errors import Problems
from udta.loader import FeatureLoader
from udta.scoring import labelled_rows, test_rows
from udta.store import Store, open_store
from udta.training.auto import AUTO, Score, auto_options, recipe_changes, select
from udta.training.checkpoint import Checkpoints
from udta.training.cost import TrainingMeter
from udta.training.learner import EpochResult
from udta.training.loop import fit
from udta.training.options import TrainOptions
from udta.training.run import RunReport, finished_run, leave_run, request, rows_digest
from udta.training.run_folder import CHECKPOINT, claim, empty, history_writer
from udta.training.sources import build, training_sources


@one_writer_of("out")
@heard
def train(
    store: str | Path | Store,
    *,
    out: str | Path,
    adapter: str = "udta",
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    split: str = "train",
    rows: ArrayLike | None = None,
    test_split: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    on_epoch: Callable[[EpochResult, int], None] | None = None,
    on_score: Callable[[Score], None] | None = None,
    on_phase: Listener | None = None,  # `heard` uses it
) -> RunReport:
    """Train an adapter on one split, evaluate it on another, and leave a run folder.

    Killed at any moment, the same call goes on from the last checkpoint and leaves the same bytes (but for times). With other
    settings or features it starts anew. Where the very same run is finished there is nothing to do, and its report is returned.

    Args:
        store: where the features are.
        out: the run folder: `adapter.safetensors`, `metrics.json`, and `history.csv`, which grows while training goes on.
        adapter: a key of `udta.adapters.ADAPTERS`, or `auto`, which cross-validates some of them on `split` and trains the best.
        options: the adapter's own options.
        recipe: fields of `Recipe` that shall differ from the adapter's default, such as `{"epochs": 20}`.
        seed: of initial weights, order, views and mixup.
        split: rows to train on; those without a label are left out.
        rows: exactly these rows instead of a split.
        test_split: rows to evaluate on; `test` by default, and where the store has no labelled row of that, no metrics.
        overwrite: train anew where another run is finished. The run that is asked for is never trained twice.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`. On a GPU the features stay in its memory where they fit.
        on_epoch: called after every epoch with its figures and the number of epochs.
        on_score: called after every candidate of `auto`.
        on_phase: called with what is counted ("views read", "epochs"), how many are done, of how many, and a word more, for all
            that is gone through; see `udta._console.progress`.

    Raises:
        ConfigError: unknown adapter, options, recipe fields or split; every problem is listed.
        AdapterError: `out` holds something else or another finished run, or training diverged.
        FeatureError: features of an image are not finite.
        StoreError: the store cannot be read.
        OutputBusyError: another process is writing `out`.
    """
    # The arguments, before there is any other local name.
    given = TrainOptions.checked(TrainOptions.among(locals()))
    opened = store if isinstance(store, Store) else open_store(store)
    place = resolve_device(device)
    problems, selection = Problems(), None
    chosen = problems.collect(labelled_rows, opened, split, rows)
    problems.collect(test_rows, opened, test_split)
    own_options, own_recipe = problems.collect(_settings, adapter, opened, options or {}, recipe or {}, seed) or (
        {},
        {},
    )
    problems.raise_any()
    assert chosen is not None
    run = claim(given.out)
    asked = request(adapter, own_options, own_recipe, seed=seed, store=opened, rows=chosen, test_split=test_split)
    if not overwrite and (found := finished_run(run, asked, opened)):
        return found
    if adapter == AUTO:
        selection = select(
            opened, chosen, options=options or {}, recipe=recipe or {}, seed=seed, device=str(place), on_score=on_score
        )
        adapter, options, recipe = selection.picked, None, recipe_changes(selection.picked, recipe or {})
    settings = find_adapter(adapter).recipe_with(recipe or {})
    model = build(adapter, opened, options or {}, seed)
    loader, every_view = training_sources(model, opened, chosen, settings.batch_size, seed, place)
    checkpoints = Checkpoints(run / CHECKPOINT, _task(model, loader, settings), loader)
    empty(run)
    meter = TrainingMeter(place, *checkpoints.spent)
    with (run / "history.csv").open("x", newline="") as history:
        log = history_writer(history, checkpoints.history, settings.epochs, on_epoch)
        fit(
            model,
            loader,
            recipe=settings,
            every_view=every_view,
            seed=seed,
            device=str(place),
            on_epoch=log,
            checkpoints=checkpoints,
        )
    spent = meter.stop(loader.bytes_read + every_view.loader.bytes_read)
    report = leave_run(
        run,
        model,
        opened,
        settings,
        seed=seed,
        rows=chosen,
        spent=spent,
        test_split=test_split,
        selection=selection,
        asked=asked,
    )
    checkpoints.remove()
    return report


def _settings(
    adapter: str, store: Store, options: Mapping[str, Any], recipe: Mapping[str, Any], seed: int
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Options and recipe with what was not given; raises `ConfigError`."""
    if adapter == AUTO:
        return auto_options(options, recipe).model_dump(mode="json"), recipe
    problems = Problems()
    settings = problems.collect(find_adapter(adapter).recipe_with, recipe)
    model = problems.collect(build, adapter, store, options, seed)
    problems.raise_any()
    assert settings is not None
    assert model is not None
    return model.options, asdict(settings)


def _task(adapter: Adapter, loader: FeatureLoader, recipe: Recipe) -> dict[str, Any]:
    """Everything that decides what a training ends in, but for the machine; see `Checkpoints`."""
    store = loader.store
    return {
        "adapter": adapter.name,
        "options": adapter.options,
        "recipe": asdict(recipe),
        "seed": loader.seed,
        "fingerprint": store.fingerprint.digest,
        "classes": store.classes,
        "rows": rows_digest(store, loader.rows),
        # The order of an epoch that is shuffled in windows depends on their size and on the blocks.
        "windows": [loader.memory_budget, store.layout.block_rows] if loader.windowed else None,
        "device": loader.device.type,
        "versions": {"udta": version("udta"), "torch": torch.__version__},
    }
