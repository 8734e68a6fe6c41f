"""Training one adapter from a store: nothing here knows of images or backbones, and no gradient can reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike

from udta._console.progress import Progress, watched
from udta._files.locks import one_writer_of
from udta._machine.device import resolve_device
from udta.adapters import Recipe, find_adapter
from udta.errors import Problems
from udta.labels import with_labels
from udta.loader import FeatureLoader
from udta.scoring import labelled_rows, test_rows
from udta.store import MULTICLASS, Store, open_store
from udta.training._auto import AUTO, Score, auto_options, recipe_changes, select
from udta.training._checkpoint import Checkpoints
from udta.training._finished import finished_run, request, rows_digest
from udta.training._imbalance import check_balance
from udta.training._learner import EpochResult
from udta.training._run_folder import CHECKPOINT, claim, empty, history_writer
from udta.training._run_report import RunReport, leave_run
from udta.training._tensorboard import RunLog, check_tensorboard
from udta.training.cost import TrainingCost, TrainingMeter
from udta.training.loop import fit
from udta.training.options import TrainOptions
from udta.training.sources import Training, build, training_sources


@one_writer_of("out")
@watched("epochs")
def train(
    store: str | Path | Store,
    *,
    out: str | Path,
    adapter: str = "udta",
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str = MULTICLASS,
    separator: str | None = None,
    seed: int = 0,
    split: str = "train",
    rows: ArrayLike | None = None,
    test_split: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    tensorboard: str | Path | None = None,
    on_epoch: Callable[[EpochResult, int], None] | None = None,
    on_score: Callable[[Score], None] | None = None,
    progress: Progress = None,  # `watched` uses it
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
        labels: a file of other labels than the store's own; with `column`, `task` and `separator` as of `udta.with_labels`.
        column: of `labels`.
        task: what the labels are for: `multiclass`, `multilabel` or `regression`.
        separator: of `labels`.
        seed: of initial weights, order, views and mixup.
        split: rows to train on; those without a label are left out.
        rows: exactly these rows instead of a split.
        test_split: rows to evaluate on; `test` by default, and where the store has no labelled row of that, no metrics.
        overwrite: train anew where another run is finished. The run that is asked for is never trained twice.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`. On a GPU the features stay in its memory where they fit.
        tensorboard: a folder for logs that TensorBoard shows, in it one of the name of `out`: loss, accuracy and learning rate by
            epoch, and the settings with the figures of the test split. With the extra `tensorboard`.
        on_epoch: called after every epoch with its figures and the number of epochs.
        on_score: called after every candidate of `auto`.
        progress: whether a bar is shown, or what is called instead with what is counted ("views read", "epochs"), how many are
            done, of how many, and a word more, for all that is gone through; by default a bar in a notebook alone.

    Returns:
        What it cost, and the figures of the test split.

    Raises:
        ConfigError: unknown adapter, options, recipe fields or split, labels that do not fit; every problem is listed.
        DataError: the file of labels cannot be read.
        AdapterError: `out` holds something else or another finished run, or training diverged.
        FeatureError: features of an image are not finite.
        StoreError: the store cannot be read.
        OutputBusyError: another process is writing `out`.

    Example:
        >>> report = udta.train("photos.zarr", adapter="linear", recipe={"epochs": 2}, out="runs/linear")
        >>> report.epochs, report.metrics["n"]
        (2, 6)
    """
    # The arguments, before there is any other local name.
    given = TrainOptions.checked(TrainOptions.among(locals()))
    resolved = resolve_device(device)
    opened = store if isinstance(store, Store) else open_store(store)
    # Nothing is written before all of it is known to be right, and everything that is wrong is told at once.
    problems, selection, chosen = Problems(), None, None
    seen = problems.collect(with_labels, opened, labels, column=column, task=task, separator=separator)
    if seen is not None:
        opened = seen
        chosen = problems.collect(labelled_rows, opened, split, rows)
        problems.collect(test_rows, opened, test_split)
    problems.collect(check_tensorboard, given.tensorboard)
    complete = problems.collect(_complete, adapter, opened, options or {}, recipe or {}, seed)
    problems.raise_any()
    assert chosen is not None
    assert complete is not None
    # From here on the folder is ours; `one_writer_of` keeps other processes out until the end.
    run = claim(given.out)
    asked = request(adapter, *complete, seed=seed, store=opened, rows=chosen, test_split=test_split)
    if not overwrite and (found := finished_run(run, asked, opened)):
        return found
    if adapter == AUTO:
        selection = select(
            opened,
            chosen,
            options=options or {},
            recipe=recipe or {},
            seed=seed,
            device=str(resolved),
            on_score=on_score,
        )
        adapter, options, recipe = selection.picked, None, recipe_changes(selection.picked, recipe or {})
    model, settings = build(adapter, opened, options or {}, seed), find_adapter(adapter).recipe_with(recipe or {})
    training = Training(model, opened, chosen, settings, seed)
    with RunLog(given.tensorboard and given.tensorboard / run.name) as log:
        spent = _train(run, training, resolved, on_epoch, log)
        report = leave_run(run, training, spent, test_split=test_split, selection=selection, asked=asked)
        log.end(model, settings, seed, report.metrics)
    # The last change: a training that is killed before it is found unfinished, and goes on from its checkpoint.
    (run / CHECKPOINT).unlink(missing_ok=True)
    return report


def _train(
    run: Path,
    training: Training,
    device: torch.device,
    on_epoch: Callable[[EpochResult, int], None] | None,
    log: RunLog,
) -> TrainingCost:
    """The training itself, from its last checkpoint; `history.csv` grows meanwhile."""
    model, recipe = training.adapter, training.recipe
    loader, every_view = training_sources(model, training.store, training.rows, recipe, training.seed, device)
    checkpoints = Checkpoints(run / CHECKPOINT, _task(training, loader), loader)
    empty(run)
    log.begin(EpochResult(**line) for line in checkpoints.history)

    def told(result: EpochResult, epochs: int) -> None:
        log.epoch(result)
        if on_epoch:
            on_epoch(result, epochs)

    # Seconds that a killed process spent count: the cost is that of the training, not of its last part.
    meter = TrainingMeter(device, *checkpoints.spent)
    with (run / "history.csv").open("x", newline="") as history:
        written = history_writer(history, checkpoints.history, recipe.epochs, told)
        fit(
            model,
            loader,
            recipe=recipe,
            every_view=every_view,
            seed=training.seed,
            device=str(device),
            on_epoch=written,
            checkpoints=checkpoints,
        )
    return meter.stop(loader.bytes_read + every_view.loader.bytes_read)


def _complete(
    adapter: str, store: Store, options: Mapping[str, Any], recipe: Mapping[str, Any], seed: int
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Options and recipe with what was not given; raises `ConfigError`."""
    if adapter == AUTO:
        complete = auto_options(options, recipe).model_dump(mode="json")
        # As a recipe holds them: of a file of weights what stands in it, not its name.
        changed = Recipe(epochs=1).override(recipe)
        check_balance(changed, store)
        return complete, {name: getattr(changed, name) for name in recipe}
    problems = Problems()
    settings = problems.collect(find_adapter(adapter).recipe_with, recipe)
    if settings is not None:
        problems.collect(check_balance, settings, store)
    # Built to be checked: taps that are too few, options that do not fit. What is trained is built anew, from the seed.
    model = problems.collect(build, adapter, store, options, seed)
    problems.raise_any()
    assert settings is not None
    assert model is not None
    return model.options, asdict(settings)


def _task(training: Training, loader: FeatureLoader) -> dict[str, Any]:
    """Everything that decides what a training ends in, but for the machine: a checkpoint of another task is passed over."""
    store = training.store
    return {
        "adapter": training.adapter.name,
        "options": training.adapter.options,
        "recipe": asdict(training.recipe),
        "seed": training.seed,
        "fingerprint": store.fingerprint.digest,
        "task": store.task,
        "classes": store.classes,
        "rows": rows_digest(store, training.rows),
        # The order of an epoch that is shuffled in windows depends on their size and on the blocks.
        "windows": [loader.memory_budget, store.layout.block_rows] if loader.windowed else None,
        "device": loader.device.type,
        # Another version may take another step, and half a training of each is the result of neither.
        "versions": {"udta": version("udta"), "torch": torch.__version__},
    }
