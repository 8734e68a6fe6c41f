"""The table of docs/datasets.md of where images lie: each command as it stands there, on photographs that lie so."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import packed
import pytest
from builtin_layouts import LAYOUTS
from toy import photographs

import udta
from udta.cli.main import command
from udta.images.readers import READERS, find_reader

ROOT = Path(__file__).parent.parent.parent
TABLE = re.search(r"^## Where images lie\n(.*?)^## ", (ROOT / "docs" / "datasets.md").read_text(), re.M | re.S)[1]
COMMANDS = {text.split("--out ")[1]: text for text in re.findall(r"`(udta extract [^`]+)`", TABLE)}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The same photographs in every form, and the features of the folder."""
    world = tmp_path_factory.mktemp("inputs")
    photos = photographs(world / "photos", per_class=2)
    (world / "flat").mkdir()
    for path in sorted(photos.glob("*/*.png")):
        shutil.copy(path, world / "flat" / f"{path.parent.name}-{path.name}")
    (world / "list.txt").write_text("".join(f"{path}\n" for path in sorted(photos.glob("*/*.png"))))
    packed.table(photos, world).rename(world / "table.csv")
    packed.shards(photos, world)
    packed.parquet(photos, world, name="train", first=4)
    packed.saved(photos, world)
    LAYOUTS["aircraft"](world / "data" / "fgvc-aircraft-2013b")
    return world


def test_the_table_has_every_reader_and_extra(world, monkeypatch):
    monkeypatch.chdir(world)
    asked = {type(find_reader(shlex.split(text)[2])) for text in COMMANDS.values()}
    assert asked == {type(reader) for reader in READERS}
    extras = set(re.findall(r"udta\[(\w+)\]", TABLE))
    assert extras == {"parquet", "datasets"}
    assert all(re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.M) for extra in extras)


@pytest.mark.parametrize("store", [store for store in COMMANDS if store not in ("hub.zarr", "aircraft.zarr")])
def test_a_command_gives_the_rows_of_the_folder(store, world, expected, monkeypatch):
    monkeypatch.chdir(world)
    command.main(shlex.split(COMMANDS[store])[1:], standalone_mode=False)
    assert features(store) == expected


def test_a_builtin_dataset(world, monkeypatch):
    monkeypatch.chdir(world)
    command.main(shlex.split(COMMANDS["aircraft.zarr"])[1:], standalone_mode=False)
    assert set(udta.open_store("aircraft.zarr").splits) == {"train", "val", "test"}


def test_a_dataset_of_a_hub(world, expected, hub):
    """And again without a network, out of the cache."""
    files = {f"data/train-{number}.parquet": (world / f"train-{number}.parquet").read_bytes() for number in range(2)}
    hub.add("ORG/NAME", files)
    path = f'PATH="{Path(sys.executable).parent}:$PATH"\n'
    for offline in ("", "1"):
        environment = hub.environment(HF_HOME=str(world / "home"), HF_HUB_OFFLINE=offline)
        script = path + COMMANDS["hub.zarr"].replace("hub.zarr", f"hub{offline}.zarr")
        done = subprocess.run(
            ["bash", "-euc", script], cwd=world, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert features(world / f"hub{offline}.zarr") == expected
    assert any("train-1.parquet" in request for request in hub.requests)


@pytest.fixture(scope="module")
def expected(world):
    """The features of the folder."""
    udta.extract(world / "photos", backbone="mobilenet_v2", taps="pooled", out=world / "expected.zarr")
    return features(world / "expected.zarr")


def features(path):
    store = udta.open_store(path)
    assert store.complete
    return store.read(np.arange(len(store)))["pooled"].tobytes()
