"""`udta.sweep`: what was asked, going on where it was left, and the results."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from udta._console.progress import Progress, announce, watched
from udta._files.atomic import is_temporary
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._machine.device import resolve_device
from udta._machine.memory import freed_memory_kept
from udta.errors import AdapterError, ConfigError
from udta.labels.options import LabelOptions
from udta.store import MULTICLASS, Store, open_store
from udta.training._checkpoint import FORMAT, States, read_checkpoint, write_checkpoint
from udta.training._tensorboard import check_tensorboard
from udta.training.sweep._epochs import SweepLoop, identity
from udta.training.sweep._halving import best_trials
from udta.training.sweep._results import SweepReport, make_report, write_results
from udta.training.sweep._spec import SweepFile, expand, load_file, parse
from udta.training.sweep._trial import make_trials

_STATE = "state.safetensors"
_DAMAGED = f"{_STATE}.damaged"  # a damaged state is set aside for people to see
_FILES = {_STATE, _DAMAGED, "runs", "best", "results.csv", "results.parquet"}
# A checkpoint holds every parameter three times: seldom enough to cost little, often enough that a kill costs little.
_CHECKPOINT_SECONDS = 15.0
_LOG = logging.getLogger(__name__)


@one_writer_of("out")
@watched("epochs")
def sweep(
    store: str | Path | Store,
    *,
    adapters: str | Path | Mapping[str, Any],
    out: str | Path,
    labels: str | Path | None = None,
    column: str | None = None,
    task: str = MULTICLASS,
    separator: str | None = None,
    validation: float | None = None,
    halving: Mapping[str, Any] | bool | None = None,
    seed: int = 0,
    device: str = "auto",
    tensorboard: str | Path | None = None,
    checkpoint_seconds: float = _CHECKPOINT_SECONDS,
    on_epoch: Callable[[int, int, int], None] | None = None,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> SweepReport:
    """Train many adapters, reading the data once an epoch for all of them; the same call continues an interrupted sweep.

    Args:
        store: where the features are.
        adapters: a YAML file, or what it would hold: `{"adapters": {name: entry}}`; see `udta.training.sweep._spec`.
        out: `runs/<name>/` for each adapter as `train` leaves it, `best/`, `results.csv` and, with pyarrow, `results.parquet`.
        labels: a file of labels for all adapters whose entry names none, with `column`, `task` and `separator` as of
            `udta.with_labels`.
        column: of `labels`, for entries that name none.
        task: what the labels are for, for entries that do not say it.
        separator: of `labels`.
        validation: share of the training rows that adapters are compared on and not trained on; that of the file by default.
            With 0 all rows are trained on, and there is no best one.
        halving: `{"rungs": 3, "keep": 0.5}` stops losers early; that of the file by default. True is the file's, or these values.
        seed: of the validation split and the shares of labels, which are the same for all. Initial weights, order, views and
            mixup of an adapter depend on the seed of its own in the file, as in `train`.
        device: where to train: `auto`, `cpu`, `cuda` or `cuda:N`.
        tensorboard: a folder for logs that TensorBoard shows, one of each adapter, as of `train`.
        checkpoint_seconds: what a kill may cost, beside the epoch it falls into.
        on_epoch: called after every epoch with its number, the number of epochs, and how many adapters are still in training.
        progress: whether a bar is shown, or what is called instead with what is counted ("views read", "epochs"), how many are
            done, of how many, and a word more, for all that is gone through; by default a bar in a notebook alone.

    Returns:
        A line for each adapter, and which is best on the validation split.

    Raises:
        ConfigError: anything wrong in the file, alone or beside this store; every problem is listed.
        DataError: a file of labels cannot be read.
        AdapterError: `out` holds something else, or another sweep.
        StoreError: the store cannot be read.
        OutputBusyError: another process is writing `out`.

    Example:
        >>> entries = {"solved": {"adapter": "ridge"}, "nearest": {"adapter": "knn"}}
        >>> report = udta.sweep("photos.zarr", adapters={"adapters": entries}, out="swept")
        >>> [row["name"] for row in report.rows]
        ['solved', 'nearest']
    """
    resolved, target = str(resolve_device(device)), local_path("out", out)
    logs = None if tensorboard is None else local_path("tensorboard", tensorboard)
    check_tensorboard(logs)
    opened = store if isinstance(store, Store) else open_store(store)
    called, folder, file = _asked(adapters, validation, halving)
    given = LabelOptions.checked({"labels": labels, "column": column, "task": task, "separator": separator})
    members = expand(file, called, folder, given)
    trials = make_trials(opened, members, validation=file.validation, seed=seed)
    options = {"validation": file.validation, "halving": file.halving and file.halving.model_dump(), "seed": seed}
    asked = identity(opened, trials, options)
    loop = SweepLoop(opened, trials, file.halving, target / "runs", seed, resolved, logs)
    with freed_memory_kept(resolved), loop:
        # Before anything is solved or trained: a folder of another sweep is refused at once.
        states = _go_on(target, asked, loop)
        if loop.solve():  # before the first epoch, so there is no other state to keep
            _save(target, asked, loop)
        loop.begin(states)
        saved = time.monotonic()
        announce("epochs", loop.epoch, loop.epochs)
        while loop.active:
            loop.train_epoch()
            loop.settle()
            if time.monotonic() - saved >= checkpoint_seconds or not loop.active:
                _save(target, asked, loop)
                saved = time.monotonic()
            announce("epochs", loop.epoch, loop.epochs, f"{loop.active} adapters")
            if on_epoch:
                on_epoch(loop.epoch, loop.epochs, loop.active)
    report = make_report(target, trials, best_trials(trials))
    write_results(target, report)
    return report


def _asked(
    adapters: str | Path | Mapping[str, Any], validation: float | None, halving: Mapping[str, Any] | bool | None
) -> tuple[str, Path, SweepFile]:
    """What messages call the file, the folder that its paths are relative to, and the file with the options of the call."""
    if isinstance(adapters, Mapping):
        where, folder, file = "adapters", Path(), parse(adapters, "adapters")
    else:
        where, folder, file = str(adapters), Path(adapters).parent, load_file(Path(adapters))
    # Only what is written in the file, so that it is checked once more together with what the call says.
    changed = file.model_dump(exclude_unset=True)
    if validation is not None:
        changed["validation"] = validation
    if halving is not None:
        changed["halving"] = (changed.get("halving") or {}) if halving is True else halving or None
    file = parse(changed, where)
    if file.halving and not file.validation:
        raise ConfigError(f"{where}: halving compares adapters on a validation split, but validation is 0")
    return where, folder, file


def _save(out: Path, asked: Mapping[str, Any], loop: SweepLoop) -> None:
    """After an epoch: what was asked, how far every trial is, and what those in training go on from."""
    states = {
        trial.member.name: group.state(number) for group in loop.groups for number, trial in enumerate(group.trials)
    }
    document = {
        "progress": {"epoch": loop.epoch},
        "runs": {trial.member.name: trial.record() for trial in loop.trials},
    }
    write_checkpoint(out / _STATE, asked, document, states)


def _go_on(out: Path, asked: Mapping[str, Any], loop: SweepLoop) -> States:
    """Restore the state in `out`, or write the first one; what trials go on from, by name."""
    found = _load(out / _STATE)
    if found is None:
        if out.exists() and not (out.is_dir() and all(_is_ours(file.name) for file in out.iterdir())):
            raise AdapterError(
                f"{out} exists and is not the folder of a sweep; it was left as it is, choose another --out"
            )
        _save(out, asked, loop)
        return {}
    document, states = found
    # Through JSON, as what is there came out of a file: tuples are lists.
    if differences := _differences(document["task"], json.loads(json.dumps(asked))):
        raise AdapterError(
            f"{out} holds another sweep (other {', '.join(differences)}); it was left as it is, choose another --out or remove it"
        )
    loop.epoch = document["progress"]["epoch"]
    for trial in loop.trials:
        trial.restore(document["runs"][trial.member.name])
    return states


def _load(path: Path) -> tuple[dict[str, Any], States] | None:
    """The document and the states, None where no sweep was begun or its state is damaged.

    Raises:
        AdapterError: the file is foreign or cannot be read.
    """
    if not path.exists():
        return None
    try:
        return read_checkpoint(path, _check_format)
    except ValueError as error:  # to stop here would meet every rerun until somebody removed the file
        path.replace(path.with_name(_DAMAGED))
        _LOG.warning("%s: %s; it is kept as %s, and the sweep starts over", path, error, _DAMAGED)
        return None
    except (OSError, KeyError) as error:
        raise AdapterError(
            f"{path}: no state of a sweep ({error}); it was left as it is, choose another --out"
        ) from error


def _check_format(document: Mapping[str, Any]) -> None:
    if document.get("format") != FORMAT:
        raise KeyError("written by another version of udta")


def _is_ours(name: str) -> bool:
    """A file of a sweep, or what a killed process left of one."""
    return name in _FILES or any(is_temporary(name, known) for known in _FILES)


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    found = [name for name in asked if name != "adapters" and asked[name] != there.get(name)]
    names = [*asked["adapters"], *(name for name in there["adapters"] if name not in asked["adapters"])]
    changed = [name for name in names if asked["adapters"].get(name) != there["adapters"].get(name)]
    return [*found, *(f"adapters.{name}" for name in changed)]
