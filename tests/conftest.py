"""Shared fixtures. Test helpers beside the tests (`toy`, `store_contract`) are importable by name."""

import gc
import os
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE / folder) for folder in ("store", "images", "backbones/sources"))]

# Two cores are what tests may count on; side by side (pytest -n) they share them.
torch.set_num_threads(max(1, 2 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))

# Shapes and types of tensor code are checked at run time here, and nowhere else. Not those of `evaluation.estimator`: what
# scikit-learn's own checks hand to its constructor is of any type.
TENSOR_CODE = (
    "adapters",
    "backbones._forward",
    "backbones.reducers",
    "images._views",
    "evaluation._comparison",
    "evaluation._tables",
    "evaluation.measure",
    "evaluation.parity",
    "deployment",
    "explanation",
    "prediction._prediction",
    "prediction.predict",
    "prediction.predictor",
    "prediction.trained_adapter",
    "scoring",
    "tasks",
    "store._quantise",
)
jaxtyping.install_import_hook([f"udta.{module}" for module in TENSOR_CODE], "beartype.beartype")


def pytest_collection_finish():
    """What modules and 3,000 tests are made of is looked at by no collection of garbage any more: each took half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_collection():
    """Garbage that is collected a thousand calls deep runs finalisers and callbacks of others there, and these fail then."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of 3 classes with 8 small images each."""
    from toy import photographs

    return photographs(tmp_path_factory.mktemp("images") / "photos")


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory, photos):
    """A store of them, two views of two taps of the toy backbone."""
    import udta

    path = tmp_path_factory.mktemp("stores") / "toy.zarr"
    udta.extract(photos, backbone="toy:net", taps="stage1=grid(4),stage2=avg", views=2, out=path)
    return path


@pytest.fixture(scope="session")
def real_data():
    """The folder with real photograph sets and weights."""
    folder = os.environ.get("UDTA_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real photographs and weights: set UDTA_REAL_DATA to their folder")
    return Path(folder).resolve()


@pytest.fixture
def hub(tmp_path):
    """A hub of models on 127.0.0.1 that `huggingface_hub` asks, with an empty cache of its own."""
    pytest.importorskip("huggingface_hub", reason="needs the extra timm, transformers or open_clip")
    from loopback_hub import LoopbackHub

    found = LoopbackHub(tmp_path / "hub-cache")
    with found.reachable():
        yield found
    found.close()


@pytest.fixture
def udta_command(capsys):
    """Run the command in this process: (status, out, err)."""
    from udta.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return caught.value.code, captured.out, captured.err

    return run
