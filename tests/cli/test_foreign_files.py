"""Stores and adapter files of a stranger: what they name is never run, whatever verb reads them."""

from dataclasses import replace

import pytest
from toy import photographs

import udta
from udta.adapters import load_adapter, save_adapter
from udta.store import engine_at

TAPS = "stage1=grid(4),stage2=avg"
FACTORIES = ("os:mkdir?path={mark}", "subprocess:run?args=mkdir%20{mark}&shell=true", "marking_net:net")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Photographs, and an adapter and a store of them."""
    folder = tmp_path_factory.mktemp("own")
    photographs(folder / "photos", per_class=4)
    udta.extract(folder / "photos", backbone="toy:net", taps=TAPS, views=2, out=folder / "s")
    udta.train(folder / "s", out=folder / "run", adapter="linear", recipe={"epochs": 1})
    return folder


def poison(own, source):
    """Have store and adapter file name another backbone, with everything else as it was."""
    engine = engine_at(own / "s")
    layout = engine.load()
    engine.save_metadata(replace(layout, source={**layout.source, **source}))
    adapter, header = load_adapter(own / "run")
    save_adapter(own / "run" / "adapter.safetensors", adapter, replace(header, source={**header.source, **source}))


@pytest.fixture
def mark(request, own, tmp_path, monkeypatch):
    """Where something would be if the name in the file was run; a module of the current folder is among the names."""
    mark, factory = tmp_path / "mark", getattr(request, "param", FACTORIES[-1])
    (tmp_path / "marking_net.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nnet = os.getcwd\n")
    monkeypatch.chdir(tmp_path)
    poison(own, {"backbone": factory.format(mark=mark), "weights": "none"})
    return mark


@pytest.mark.parametrize("mark", FACTORIES, indirect=True)
@pytest.mark.parametrize(
    "verb",
    [
        "predict {own}/photos --adapter {own}/run --out p.csv",
        "evaluate {own}/run {own}/s --parity 2",
        "verify {own}/s --recompute 2",
    ],
)
def test_a_verb_that_needs_the_backbone_does_not_run_what_the_file_names(udta_command, own, mark, verb):
    status, _, err = udta_command(*verb.format(own=own).split())
    assert (status, "no model of torchvision or timm" in err, "give it as --backbone" in err) == (2, True, True), err
    assert not mark.exists()
    assert udta_command(*verb.format(own=own).split(), "--backbone", "toy:net")[0] == 0


@pytest.mark.parametrize(
    "verb",
    [
        "info {own}/s",
        "diff {own}/s {own}/s",
        "export {own}/s --to npy --out out",
        "export {own}/s --to hdf5 --out out.h5",
        "train {own}/s --adapter linear --epochs 1 --out run",
        "sweep {own}/s --adapters sweep.yaml --out sweep",
        "fewshot {own}/s --adapter ridge --shots 1 --seeds 1 --out few",
        "evaluate {own}/run {own}/s",
        "plan {own}/photos --backbone toy:net --taps " + TAPS + " --views 3 --out {own}/s",
        "extract {own}/photos --backbone toy:net --taps " + TAPS + " --views 2 --out {own}/s",
    ],
)
def test_every_other_verb_passes_it_over(udta_command, own, mark, tmp_path, verb):
    (tmp_path / "sweep.yaml").write_text("adapters: {ridge: {adapter: ridge}}")
    status, _, err = udta_command(*verb.format(own=own).split())
    assert status == 0, err
    assert not mark.exists()


def test_images_above_the_remembered_folder_are_read_only_when_the_user_names_it(udta_command, own, tmp_path):
    table = tmp_path / "lists" / "t.csv"
    table.parent.mkdir()
    images = [f"{own}/photos/{name}/00{number}.png,{name}" for name in ("cat", "dog") for number in range(4)]
    table.write_text("\n".join(["path,label", *images]))
    store = tmp_path / "s"
    udta.extract(table, backbone="toy:net", taps=TAPS, out=store)
    recompute = ("verify", store, "--recompute", 2, "--backbone", "toy:net")
    status, _, err = udta_command(*recompute)
    assert (status, "not below" in err, f"give --images '{table.parent}' to allow" in err) == (2, True, True)
    assert udta_command(*recompute, "--images", table.parent)[0] == 0
