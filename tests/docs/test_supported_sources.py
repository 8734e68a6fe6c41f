"""The table of docs/backbones.md: each command as it stands there, on tiny models where the source leaves a choice.

What is put in the place of the world are photographs, a hub on loopback, torchvision's file in torch's cache, and folders.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from timm_hub import saved
from toy import photographs

import udta
from udta.backbones.sources.registry import SOURCES, source_of

ROOT = Path(__file__).parent.parent.parent
TABLE = re.search(
    r"^## A command for each source\n(.*?)^## ", (ROOT / "docs" / "backbones.md").read_text(), re.M | re.S
)[1]
COMMANDS = {command.split("--out ")[1]: command for command in re.findall(r"`(udta extract [^`]+)`", TABLE)}
pytestmark = pytest.mark.slow


def named(command):
    """The backbone in a command."""
    words = shlex.split(command)
    return words[words.index("--backbone") + 1].partition("?")[0]


def test_the_table_has_every_source():
    assert {source_of(named(command)).name for command in COMMANDS.values()} == SOURCES.keys()
    needed = set(re.findall(r"`udta\[(\w+)\]`", TABLE))
    extras = (ROOT / "pyproject.toml").read_text()
    assert needed == {"timm", "transformers", "open_clip"}
    assert all(re.search(rf"^{extra} = \[", extras, re.M) for extra in needed)


@pytest.fixture
def world(tmp_path, hub):
    """A folder with what a reader has, and a hub; `prepare` makes what one command asks for."""
    photographs(tmp_path / "photos", per_class=2)
    return tmp_path


def random_weights(backbone):
    return udta.build_backbone(backbone, "none").module.state_dict()


def torchvision(world, hub):
    weights = world / "torch" / "hub" / "checkpoints" / "mobilenet_v2-7ebf99e0.pth"  # as its DEFAULT is called
    weights.parent.mkdir(parents=True)
    torch.save(random_weights("mobilenet_v2"), weights)


def timm(world, hub):
    name = "vit_tiny_patch16_224.augreg_in21k"
    hub.add(f"timm/{name}", {"model.safetensors": save(random_weights(name))})


def hf_hub(world, hub):
    hub.add("timm/vit_small_patch14_dinov2.lvd142m", saved(world / "saved", "test_vit")[1])


def local_dir(world, hub):
    saved(world / "my-timm-model", "test_vit")


def hf(world, hub):
    import tiny_hf

    tiny_hf.save("dinov2", world / "saved")
    hub.add("facebook/dinov2-small", world / "saved")


def hf_folder(world, hub):
    import tiny_hf

    tiny_hf.save("dinov2", world / "my-dinov2")


def open_clip(world, hub):
    import open_clip

    # Of its real size, since the name says the architecture; in half precision, as much of the published weights is.
    state = open_clip.create_model("ViT-B-32").visual.half().state_dict()
    file = save({f"visual.{key}": value for key, value in state.items()})
    hub.add("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", {"open_clip_model.safetensors": file})


def mine(world, hub):
    page = (ROOT / "docs" / "backbones.md").read_text()
    (world / "mine.py").write_text(re.search(r"^```python\n(# mine\.py.*?)^```", page, re.M | re.S)[1])


PREPARE = {
    f"{make.__name__.replace('hf_', 'hf-').replace('local_', 'local-')}.zarr": make
    for make in (torchvision, timm, hf_hub, local_dir, hf, hf_folder, open_clip, mine)
}


@pytest.mark.parametrize("store", COMMANDS)
def test_a_command_of_the_table(store, world, hub):
    PREPARE[store](world, hub)
    command = f'PATH="{Path(sys.executable).parent}:$PATH"\n{COMMANDS[store]}'
    environment = hub.environment(TORCH_HOME=str(world / "torch"))
    done = subprocess.run(
        ["bash", "-euc", command], cwd=world, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    opened = udta.open_store(world / store)
    assert opened.complete
    assert list(opened.taps) == ["pooled"]
    if hub.repositories:
        [[repo, published]] = hub.repositories.items()
        assert (opened.source["id"], opened.source["revision"]) == (repo, published.refs["main"])
