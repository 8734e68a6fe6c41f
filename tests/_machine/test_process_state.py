"""What a process has only one of is after every call of the library as it was before."""

import os
import random
import re
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ruamel.yaml  # noqa: F401  # as below
import torch
from threadpoolctl import threadpool_info

import udta
from udta._machine.process_state import left_as_found
from udta.images import _quiet as quiet

TAPS = {"backbone": "toy:net", "taps": "stage1=grid(4),stage2=avg", "views": 2}
SHORT = {"epochs": 2, "mixup": 0.2}


def process_state():
    """Everything that a library could change behind the back of the program that calls it, by name."""
    return {
        "random": random.getstate(),
        "numpy": repr(np.random.get_state()),  # noqa: NPY002
        "numpy errors": np.geterr(),
        "torch": torch.get_rng_state().tolist(),
        "cuda": [state.tolist() for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else [],
        "threads": torch.get_num_threads(),
        "pools of threads": {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()},
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "umask": umask(),
        # That for libraries that decode stays, see `udta.images._quiet`.
        "warnings": [each for each in warnings.filters if getattr(each[3], "pattern", None) != quiet._LIBRARIES],
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
    }


def umask():
    found = os.umask(0o022)
    os.umask(found)
    return found


def changes(before, after):
    """Names of what differs; a pool of threads may be new, because a library was loaded."""
    after["pools of threads"] = {
        pool: number for pool, number in after["pools of threads"].items() if pool in before["pools of threads"]
    }
    return {name for name in before if before[name] != after[name]}


def test_whatever_is_done_inside_is_undone():
    def do_everything():
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        raise ValueError("as the code of others does")

    before = process_state()
    with pytest.raises(ValueError, match="of others"), left_as_found():
        do_everything()
    assert not changes(before, process_state())


# --- the public surface


def _classifier(world):
    labels = world.store.labels[world.rows]
    model = udta.UDTAClassifier("linear", store=world.path, **SHORT).fit(world.rows, labels)
    model.predict_proba(world.rows)
    model.decision_function(world.rows)


def _regressor(world):
    numbers = np.arange(len(world.rows), dtype=np.float64)
    udta.UDTARegressor("linear", store=world.path, **SHORT).fit(world.rows, numbers).predict(world.rows)


def _with_labels(world):
    file = world.out.with_suffix(".csv")
    file.write_text(
        "\n".join(("path,label", *(f"{name},{len(name) % 2}{name[0]}" for name in world.store.ids.tolist())))
    )
    udta.with_labels(world.path, file)


def _sweep(world):
    entry = {"recipe": {"epochs": 2}, "seeds": [0, 1]}
    entries = {name: {"adapter": name, **entry} for name in ("udta", "ladder")}
    udta.sweep(world.path, adapters={"adapters": {**entries, "ridge": {"adapter": "ridge"}}}, out=world.out)


def _project(world):
    udta.init(world.out, images=world.photos, backbone="toy:net")
    udta.add_dataset("more", world.photos, project=world.out)
    udta.add_backbone("more", backbone="toy:net", project=world.out)
    udta.add_adapter("more", adapter="linear", project=world.out)


# What calls everything that there is; a class that does nothing by itself has None.
CALLS = {
    "Backbone": None,
    "Batch": None,
    "FeatureLoader": lambda world: [list(udta.FeatureLoader(world.store, **how)) for how in LOADERS],
    "Predictor": lambda world: udta.Predictor(world.run, backbone="toy:net")(world.photo),
    "Store": lambda world: world.store.read([1, 2], dtype="float32"),
    "TrainedAdapter": None,
    "UDTAClassifier": _classifier,
    "UDTARegressor": _regressor,
    "UdtaError": None,
    "adapters": lambda world: udta.adapters(),
    "add_adapter": _project,
    "add_backbone": None,
    "add_dataset": None,
    "backbones": lambda world: udta.backbones("resnet50"),
    "build_backbone": lambda world: [udta.build_backbone(spec) for spec in ("toy:net", "toy:careless")],
    "diff": lambda world: udta.diff(world.path, world.path),
    "doctor": lambda world: udta.doctor(world.out.parent),
    "evaluate": lambda world: udta.evaluate(world.run, world.path, parity=2, backbone="toy:net"),
    "explain": lambda world: udta.explain(
        world.run, world.photo, out=world.out.with_suffix(".png"), backbone="toy:net"
    ),
    "export": lambda world: udta.export(world.path, to="npy", out=world.out),
    "export_model": lambda world: udta.export_model(
        world.run, to="torch", out=world.out.with_suffix(".pt2"), backbone="toy:net"
    ),
    "extract": lambda world: udta.extract(world.photos, out=world.out, **TAPS),
    "extract_many": lambda world: udta.extract_many(
        world.photos, [{"out": world.out / name, **TAPS} for name in ("a", "b")]
    ),
    "fewshot": lambda world: udta.fewshot(world.path, out=world.out, shots=[2], seeds=1, recipe=SHORT),
    "info": lambda world: [udta.info(path) for path in (world.path, world.run)],
    "init": None,
    "inspect": lambda world: udta.inspect(world.path, out=world.out),
    "load_adapter": lambda world: udta.load_adapter(world.run).predict(world.store),
    "open_store": lambda world: udta.open_store(world.path),
    "parity": lambda world: udta.parity(world.run, world.path, samples=2, backbone="toy:net"),
    "plan": lambda world: udta.plan(world.photos, out=world.out, **TAPS),
    "predict": lambda world: udta.predict(
        world.photos, adapters=[world.run], out=world.out.with_suffix(".csv"), backbone="toy:net"
    ),
    "recompute": lambda world: udta.recompute(world.path, samples=2, backbone="toy:net"),
    "report": lambda world: udta.report(world.run, out=world.out.with_suffix(".html")),
    "similar": lambda world: udta.similar(world.path, world.store.ids[0]),
    "sweep": _sweep,
    "taps": lambda world: udta.taps(world.backbone),
    "train": lambda world: [
        udta.train(world.path, out=world.out / name, adapter=name, recipe=SHORT) for name in ("udta", "ladder")
    ],
    "verify": lambda world: udta.verify(world.path),
    "with_labels": _with_labels,
}
LOADERS = ({"views": "all"}, {"dtype": "float32"}, {"resident": True}, {"memory_budget": 4096})


@pytest.fixture(scope="module")
def world(photos, toy_store, tmp_path_factory):
    # ruamel.yaml, scikit-learn, transformers and others set variables of the environment and filters when they are imported.
    _ = udta.UDTAClassifier
    udta.backbones("resnet50")
    run = tmp_path_factory.mktemp("runs") / "run"
    udta.train(toy_store, out=run, recipe={"epochs": 1})
    store = udta.open_store(toy_store)
    return SimpleNamespace(
        photos=photos,
        photo=next(photos.rglob("*.png")),
        path=toy_store,
        store=store,
        rows=store.rows("train"),
        run=run,
        backbone=udta.build_backbone("toy:net"),
    )


def test_every_public_name_is_looked_at():
    assert sorted(CALLS) == udta.__all__


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call])
def test_a_call_leaves_the_process_as_it_was(world, tmp_path, name):
    """In a state that nobody would reset it to by chance."""
    world.out = tmp_path / "out"
    with left_as_found(), warnings.catch_warnings():
        random.seed(11)
        np.random.seed(12)  # noqa: NPY002
        torch.manual_seed(13)
        torch.set_num_threads(3)
        torch.backends.cudnn.benchmark = True
        before = process_state()
        CALLS[name](world)
        after = process_state()
    # Checking shapes at run time draws from Python's generator, here and nowhere else (beartype looks at random items of lists).
    assert not changes(before, after) - {"random"}


def test_nothing_but_this_module_draws_from_pythons_generator():
    root = Path(udta.__file__).parent
    found = [
        file.name for file in root.rglob("*.py") if re.search(r"^\s*(import|from) random\b", file.read_text(), re.M)
    ]
    assert found == ["process_state.py"]
