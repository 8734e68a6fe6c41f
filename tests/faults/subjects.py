"""What is damaged: stores of both engines, runs, checkpoints, sweeps, what a report reads; and who reads it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from damage import DAMAGED, Subject
from trees import snapshot
from verbs import OPTIONS, RECIPE, SWEEP, make_inputs, report_of

import udta
from udta.adapters import load_adapter
from udta.store.verify import verify


def subjects(inputs: Path, forked: Callable[..., tuple[int, str]]) -> dict[str, Subject]:
    """By name; see `verbs.make_inputs`."""
    make_inputs(inputs, forked)
    stores = [_store(inputs, engine) for engine in ("zarr", "hdf5")]
    train = partial(udta.train, inputs / "store", out="run", adapter="linear", recipe=RECIPE, device="cpu")
    sweep = partial(udta.sweep, inputs / "store", adapters=SWEEP, out="sweep", device="cpu", checkpoint_seconds=0)
    every = [
        *stores,
        Subject(
            "run",
            train,
            {
                "load": partial(_run, "run"),
                "evaluate": lambda: _text(udta.evaluate("run", inputs / "store", device="cpu")),
                "predict": partial(_predict, inputs),
                "train": lambda: _then(train, lambda: _run("run") + _text(train().metrics)),
            },
        ),
        Subject(
            "checkpoint",
            partial(_interrupted, train),
            {"train": lambda: _then(train, lambda: _tree("run"))},
        ),
        Subject("sweep", sweep, {"runs": _runs, "sweep": lambda: _then(sweep, _runs)}, told=_run_is_refused),
        Subject(
            "cut sweep",
            partial(_interrupted, sweep),
            {"sweep": lambda: _then(sweep, _runs)},
            told=_run_is_refused,
        ),
        Subject("report", partial(_report_inputs, inputs), {"report": _report}, told=lambda found: True),
    ]
    return {subject.name: subject for subject in every}


def _store(inputs: Path, engine: str) -> Subject:
    extract = partial(udta.extract, inputs / "photos", out="out", format=engine, **OPTIONS)
    return Subject(
        f"store {engine}",
        extract,
        {
            "verify": _verify,
            "read": _read,
            "export": _export,
            "train": _train,
            "extract": lambda: _then(extract, lambda: _read() if _verify() != DAMAGED else DAMAGED),
            "repair": lambda: _then(lambda: (verify("out", repair=True), extract(), extract()), _read_sound),
        },
        told=lambda found: found["verify"] == DAMAGED or found["verify"].startswith("error"),
    )


def _then(first: Callable[[], object], second: Callable[[], str]) -> str:
    first()
    return second()


def _text(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _verify() -> str:
    return "sound" if verify("out").sound else DAMAGED


def _read() -> str:
    store = udta.open_store("out")
    columns = [store.ids.tolist(), store.labels.tolist(), store.splits.tolist(), list(store.classes), store.skipped]
    digest = hashlib.sha256(_text([columns, dict(store.fingerprint.fields), store.hashes]).encode())
    for values in store.read(store.rows()).values():
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _read_sound() -> str:
    assert _verify() == "sound"
    return _read()


def _export() -> str:
    shutil.rmtree("npy", ignore_errors=True)
    udta.export("out", to="npy", out="npy")
    return _tree("npy")


def _train() -> str:
    udta.train("out", out="trained", adapter="ridge", device="cpu")
    return _run("trained")


def _run(run: str) -> str:
    adapter, header = load_adapter(Path(run))
    values = {
        tap.name: torch.arange(float(torch.Size(tap.shape).numel())).reshape(1, *tap.shape) for tap in header.taps
    }
    with torch.inference_mode():
        return _text([adapter(values).tolist(), header.to_json()])


def _runs() -> str:
    """Every run and the best one, or that it is refused."""
    found = {}
    for run in sorted([*Path("sweep").glob("runs/*"), Path("sweep/best")]):
        try:
            found[str(run)] = _run(str(run))
        except udta.UdtaError:
            found[str(run)] = "refused"
    return " ".join(f"{run}={value}" for run, value in found.items())


def _run_is_refused(found: Mapping[str, str]) -> bool:
    """A run that was finished is not trained again: who loads it is told."""
    return any("refused" in text for text in found.values())


def _tree(folder: str) -> str:
    return _text({name: str(content) for name, content in snapshot(Path(folder)).items()})


def _predict(inputs: Path) -> str:
    udta.predict(inputs / "photos", adapters=["run"], out="p.csv", backbone="toy:net", device="cpu")
    return hashlib.sha256(Path("p.csv").read_bytes()).hexdigest()[:16]


def _interrupted(verb: Callable[..., object]) -> None:
    """After the first epoch."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        verb(on_epoch=stop)


def _report_inputs(inputs: Path) -> None:
    for name in ("features.json", "metrics.json"):
        shutil.copy(inputs / name, name)
    shutil.copytree(inputs / "run", "run")


def _report() -> str:
    report_of(Path("features.json"), Path("metrics.json"), Path("run"))
    return _tree("out")
