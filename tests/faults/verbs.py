"""Every verb that writes, small: twelve images in three blocks, a toy backbone, trainings of a few steps."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from kill_points import Scenario
from PIL import Image
from toy import photographs

import udta
import udta.store._layout
from udta._files.atomic import write_json
from udta.adapters import load_adapter
from udta.prediction import _unfinished_table
from udta.store._history import read_runs
from udta.store.verify import verify
from udta.training import _checkpoint as checkpoint

OPTIONS: Mapping[str, Any] = {
    "backbone": "toy:net",
    "taps": "stage1=grid(4),stage2=avg",
    "views": 2,
    "compute": "float32",
    "device": "cpu",
    "workers": 1,
}
RECIPE = {"epochs": 2, "batch_size": 4}
SWEEP = {
    "validation": 0.5,
    "adapters": {"steps": {"adapter": "linear", "seeds": [0, 1], "recipe": RECIPE}, "solved": {"adapter": "ridge"}},
}


def make_inputs(inputs: Path, forked: Callable[..., tuple[int, str]]) -> None:
    """What verbs read, below `inputs`: made in a child, so that this process starts no thread."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    udta.store._layout.BLOCK_ROWS = udta.store._layout.SMALLEST_BLOCK = 4
    checkpoint.PERIOD_S, checkpoint._SHARE = 0.0, float("inf")
    _unfinished_table._SURE_EVERY_S = 0.0
    status, told = forked(lambda tell: _make(inputs, tell), inputs)
    if status:
        raise RuntimeError(told)
    for module in told.split():  # what a verb imports when it is called, so that no child has to
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def scenarios(inputs: Path, forked: Callable[..., tuple[int, str]]) -> dict[str, Scenario]:
    """By name."""
    make_inputs(inputs, forked)
    store, run = inputs / "store", inputs / "run"
    train = {"recipe": RECIPE, "device": "cpu"}
    every = [*_extractions(inputs)]
    every += [
        Scenario("train", lambda: udta.train(store, out="out", adapter="linear", **train), read=_read_run),
        Scenario("train solved", lambda: udta.train(store, out="out", adapter="ridge", device="cpu"), read=_read_run),
        Scenario(
            "train again",
            lambda: udta.train(store, out="out", adapter="linear", overwrite=True, **train),
            prepare=lambda: udta.train(store, out="out", adapter="linear", seed=1, **train),
            read=_read_run,
        ),
        Scenario(
            "sweep",
            lambda: udta.sweep(store, adapters=SWEEP, out="out", device="cpu", checkpoint_seconds=0),
            read=_read_sweep,
        ),
        Scenario(
            "fewshot",
            lambda: udta.fewshot(store, out="out", adapter="ridge", shots=(1, None), seeds=1, device="cpu"),
        ),
        Scenario(
            "evaluate",
            lambda: udta.evaluate(run, store, out="m.json", predictions="p.parquet", confusion="c.csv", device="cpu"),
        ),
        Scenario("report", partial(report_of, inputs / "features.json", inputs / "metrics.json", run)),
    ]
    every += [
        Scenario(f"predict {kind}", partial(_predict, inputs, f"p.{kind}"), prepare=_precious, read=_read_table)
        for kind in ("csv", "parquet")
    ]
    every += [
        Scenario(
            f"export {to}",
            partial(udta.export, store, to=to, out="out"),
            prepare=_precious,
            read=partial(_read_export, store, to),
            refused="exists and is not empty",
        )
        for to in ("npy", "safetensors", "parquet", "zarr", "hdf5")
    ]
    return {scenario.name: scenario for scenario in every}


def _make(inputs: Path, tell: Callable[[str], object]) -> None:
    before = set(sys.modules)
    images = photographs(inputs / "photos", per_class=4)
    shutil.copytree(images, inputs / "fewer")
    for name in ("bird/003", "dog/000"):
        (inputs / "fewer" / f"{name}.png").unlink()
    Image.new("RGB", (20, 20), "teal").save(inputs / "fewer" / "cat" / "new.png")
    (inputs / "many").mkdir()
    for number in range(70):  # two batches and a bit
        os.link(images / "bird" / f"{number % 4:03d}.png", inputs / "many" / f"{number}.png")
    udta.extract(images, out=inputs / "store", **OPTIONS)
    udta.extract(inputs / "fewer", out=inputs / "fewer.store", **OPTIONS)
    udta.train(inputs / "store", out=inputs / "run", adapter="linear", recipe=RECIPE, device="cpu")
    metrics = udta.evaluate(inputs / "run", inputs / "store", device="cpu", parity=2, images=images, backbone="toy:net")
    write_json(inputs / "metrics.json", metrics)
    write_json(inputs / "features.json", read_runs(inputs / "store")[0])
    import pyarrow.parquet  # noqa: F401  # of the verbs that are not called here

    tell(" ".join(sorted(name for name in set(sys.modules) - before if not name.startswith("_"))))


def _extractions(inputs: Path) -> list[Scenario]:
    images, few = inputs / "photos", {**OPTIONS, "taps": "stage2=avg", "views": 1}
    found = []
    for engine in ("zarr", "hdf5"):
        read = partial(_read_store, inputs)
        extract = partial(udta.extract, out="out", format=engine, **OPTIONS)
        found += [
            Scenario(f"extract {engine}", partial(extract, images), prepare=_precious, read=read),
            Scenario(
                f"grow {engine}",
                partial(extract, images),
                prepare=partial(udta.extract, images, out="out", format=engine, **few),
                read=read,
            ),
            Scenario(
                f"prune {engine}",
                partial(extract, inputs / "fewer", prune=True),
                prepare=partial(extract, images),
                read=read,
            ),
            Scenario(f"repair {engine}", partial(_repair, extract, images), prepare=partial(_damaged, extract, images)),
        ]
    return found


def _precious() -> None:
    """What others may have beside an output, with names that resemble ours."""
    for folder in (".out.precious.new", ".out.partial", ".out.1234.partial"):
        Path(folder).mkdir()
        (Path(folder) / "thesis.txt").write_text("precious")
    for name in ("p.csv", "p.parquet"):
        Path(f".{name}.1234.partial").write_text("precious")


def _damaged(extract: Callable[..., object], images: Path) -> None:
    extract(images)
    largest = max((path for path in Path("out").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.seek(largest.stat().st_size // 2)
        file.write(b"damaged")


def _repair(extract: Callable[..., object], images: Path) -> None:
    verify("out", repair=True)
    extract(images)
    assert verify("out").sound


def _predict(inputs: Path, out: str) -> None:
    udta.predict(inputs / "many", adapters=[inputs / "run"], out=out, backbone="toy:net", device="cpu")


def report_of(features: Path, metrics: Path, run: Path) -> None:
    """The tables of the stage, of what one backbone, dataset and adapter left."""
    from udta.project.stages import report_stage as stage

    stage.find_spec = lambda _: None  # the page is written at once, by one rename
    places = {"features_path": features, "metrics_path": metrics, "run_path": run}
    for name, path in places.items():
        setattr(stage, name, lambda *_, path=path: path)
    names = SimpleNamespace(backbones=["b"], datasets=["d"], adapters=["a"])
    params: Any = SimpleNamespace(run=names, paths=SimpleNamespace(out=Path("out")))
    stage.report(params)


# --- what others read meanwhile: right values, or a clear error


def _read_store(inputs: Path) -> None:
    """Every committed row by the image it is of, in views and taps that are there."""
    found = udta.open_store("out")
    images = {
        content: (store, row)
        for store in map(udta.open_store, (inputs / "store", inputs / "fewer.store"))
        for row, content in enumerate(store.hashes[name] for name in store.ids)
    }
    committed = [row for record in found.records.values() for row in range(record.start, record.stop)]
    for row in committed:
        store, expected = images[found.hashes[found.ids[row]]]
        for tap, values in found.read([row]).items():
            want = store.read([expected], [tap])[tap][:, : found.n_views]
            np.testing.assert_array_equal(values, want, err_msg=f"row {row}, {tap}")


def _read_run() -> None:
    load_adapter(Path("out"))


def _read_sweep() -> None:
    for run in Path("out").glob("runs/*"):
        load_adapter(run)


def _read_table() -> None:
    tables = [*Path().glob("p.csv"), *Path().glob("p.parquet")]
    for table in tables:
        if table.suffix == ".csv":
            assert len(table.read_text().splitlines()) == 71
        else:
            import pyarrow.parquet

            assert pyarrow.parquet.read_table(table).num_rows == 70


def _read_export(store: Path, to: str) -> None:
    """Once there is anything at this name it is complete."""
    if not Path("out").exists():
        return
    if to in ("zarr", "hdf5"):
        found, expected = udta.open_store("out"), udta.open_store(store)
        assert found.complete
        for tap, values in expected.read(expected.rows()).items():
            np.testing.assert_array_equal(found.read(found.rows(), [tap])[tap], values)
    else:
        assert (Path("out") / "manifest.json").exists()
