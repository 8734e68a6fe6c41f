"""Every verb with what it cannot use: a message that says what is wrong and what would be right, a status, and nothing written.

The name of a verb stands before what is wrong with it. `{...}` are places of the fixture.
"""

import os
import shlex
import shutil

import pytest

import udta
from udta.cli.main import VERBS

NET = "--backbone toy:net --taps stage2=avg"
LATIN = os.fsdecode(b"caf\xe9")  # as a disk of before UTF-8 has it
WALK = [
    # --- what shall be read is not there, or something else
    ("info absent", 1, "there is no store at absent; make one with `udta extract IMAGES ... --out absent`"),
    ("info empty", 1, "empty is not a udta store"),
    (
        "info half",
        1,
        "half: the seal in ledger/zarr.json cannot be read (No such file or directory); the same `udta extract`",
    ),
    ("verify file", 1, "file is not a udta store, but a file"),
    ("diff store run", 1, "run is not a udta store; it is a run"),
    ("train absent --out o", 1, "there is no store at absent"),
    ("train half --out o", 1, "the seal in ledger/zarr.json cannot be read"),
    ("sweep store --adapters absent.yaml --out o", 2, "absent.yaml cannot be read (No such file or directory)"),
    ("sweep store --adapters file --out o", 2, "file: is empty or no mapping; it needs a table `adapters`"),
    (
        "sweep store --adapters wrong.yaml --out o",
        2,
        "adapters.a.adpter: there is no such setting: did you mean 'adapter'?",
    ),
    ("fewshot run --out o", 1, "run is not a udta store; it is a run"),
    ("evaluate store run", 1, "run is not a udta store; it is a run"),
    ("evaluate empty store", 1, "there is no adapter file; train one with `udta train STORE --out empty`"),
    ("evaluate file store", 1, "file: not a readable safetensors file"),
    ("predict photos --adapter absent --out o.csv", 1, "absent: there is no adapter file; train one with"),
    ("predict absent --adapter run --backbone toy:net --out o.csv", 1, "absent"),
    ("explain absent photo.jpg --out o.png", 1, "absent: there is no adapter file"),
    ("inspect run", 1, "run is not a udta store; it is a run"),
    ("similar store bird/00.png", 2, "store has no image 'bird/00.png', did you mean 'bird/00"),
    ("export-model absent --to onnx --out o.onnx", 1, "absent: there is no adapter file"),
    ("export-model run --to onnx --out empty", 2, "out is 'empty', but a program for onnx ends in .onnx"),
    ("report absent --out o.html", 2, "absent: there is no such folder"),
    ("report empty --out o.html", 2, "no run, few-shot curve or store is in there"),
    ("export empty --to npy --out o", 1, "empty is not a udta store"),
    (f"extract absent {NET} --out o", 1, "there is no folder or file 'absent'; give a folder or a .csv"),
    (f"extract file {NET} --out o", 1, "file is neither a folder nor a .csv"),
    (f"extract empty {NET} --out o", 1, "empty has no images: it needs a sub-folder of images per class"),
    (f"extract {{latin}} {NET} --out o", 1, r"caf\udce9 has no images"),
    (f"plan absent {NET} --out o", 1, "there is no folder or file 'absent'"),
    ("taps absent.module:net", 2, "module 'absent.module' cannot be imported"),
    ("taps toy:net --weights absent.pth", 1, "absent.pth: there is no such weights file"),
    ("doctor absent", 1, "absent: there is no such folder\n      -> make it"),
    # --- misspelt
    ("trian store", 2, "there is no verb 'trian': did you mean 'train'"),
    ("info --jsno store", 2, "No such option '--jsno'. Did you mean '--json'?"),
    ("taps toy:nett", 2, "toy has no factory 'nett': did you mean 'net'?"),
    ("taps toy:net --dtype flot16", 2, "'flot16' is none of them: did you mean 'float16'"),
    ("taps toy:net --transform resise(3)", 2, "there is no operation 'resise', did you mean 'resize'?"),
    ("adapters lnear", 2, "there is no adapter 'lnear': did you mean 'linear'"),
    ("completion tcsh", 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ("train store --out o --adapter lnear", 2, "there is no adapter 'lnear': did you mean 'linear'"),
    ("train store --out o --option widht=3", 2, "widht: there is no such option: did you mean 'width'"),
    ("train store --out o --split trian", 2, "store has no split 'trian': did you mean 'train'?"),
    ("train store --out o --task multclass", 2, "'multclass' is none of them: did you mean 'multiclass'"),
    ("train store --out o --device gpu", 2, "device is 'gpu': did you mean 'cpu'?"),
    (
        "train store --out o --class-weights balnced",
        2,
        "class_weights is 'balnced'; did you mean 'balanced'? (or a file",
    ),
    ("fewshot store --out o --split tran", 2, "store has no split 'tran': did you mean 'train'?"),
    ("evaluate run store --split tset", 2, "store has no split 'tset': did you mean 'test'?"),
    ("export store --to nyp --out o", 2, "'nyp' is none of them: did you mean 'npy'?"),
    ("export store --to npy --out o --taps stge1", 2, "store has no tap 'stge1': did you mean 'stage1'"),
    (f"extract photos {NET}g --out o", 2, "there is no reducer 'avgg': did you mean 'avg'?"),
    (f"extract photos {NET} --format zar --out o", 2, "'zar' is none of them: did you mean 'zarr'?"),
    ("init o --images photos --backbone resnt18", 2, "resnt18"),
    # --- numbers and kinds
    (
        f"extract photos {NET} --views 0 --out o",
        2,
        "views is 0, but view 0, the evaluation transform, is always stored",
    ),
    (f"extract photos {NET} --views many --out o", 2, "'many' is not a valid integer"),
    (f"extract photos {NET} --views 99999999999 --out o", 1, "GB, but the disk has"),
    (f"extract photos {NET} --workers -1 --out o", 2, "workers is -1, but at least one process has to work"),
    ("taps toy:net --budget -1", 2, "budget is '-1': give a number of bytes"),
    ("train store --out o --epochs 0", 2, "epochs is 0, but it is a whole number from 1"),
    ("train store --out o --lr nan", 2, "lr is nan, but it is a number from 0"),
    ("train store --out o --option width", 2, "'width' is not of the form name=value"),
    ('train store --out o --option taps=["x"]', 2, "taps: there is no such option"),
    ("train store --out o --option task=x", 2, "task is no option of it"),
    ("fewshot store --out o --shots 0", 2, "give at least one number of images a class"),
    ("verify store --recompute 0", 2, "0 is not in the range x>=1"),
    ("export store --to npy --out o --rows 999", 2, "row 999 is outside store, which has 24 rows"),
    ("export store --to npy --out o --rows 0-99999999999999", 2, "'0-99999999999999' is no range of rows"),
    ("export store --to npy --out o --views 9", 2, "store has no view 9: it has 2, numbered from 0"),
    # --- where it cannot be written, or something else lies
    (f"extract photos {NET} --out file", 1, "file exists and is not a udta store; it was left as it is"),
    (f"extract photos {NET} --out run", 1, "run exists and is not a udta store; it was left as it is"),
    (f"extract photos {NET} --out /proc/o", 1, "/proc/o cannot be written"),
    (f"extract photos {NET} --out ''", 2, "it is empty, as a variable of the shell without a value is"),
    ("train '' --out o", 2, "it is empty"),
    ("train store --out folder", 1, "folder exists and is not a run folder; it was left as it is"),
    ("train store --out run", 1, "run holds another finished run; it was left as it is"),
    ("train store --out s3://bucket/run", 2, "only local paths can be written to"),
    ("train store --out /proc/o", 1, "/proc/o: "),
    ("fewshot store --out file/o", 1, "file: is a file, nothing can be written below it"),
    (
        "predict photos --adapter run --backbone toy:net --out file/o.csv",
        1,
        "file: is a file, nothing can be written below",
    ),
    ("predict photos --adapter run --out o.txt", 2, "out is 'o.txt': its name must end in .csv or .parquet"),
    ("evaluate run store --out /proc/o.json", 1, "/proc/o.json: "),
    ("evaluate run store --out empty", 1, "empty: Is a directory"),
    ("export store --to npy --out folder", 1, "folder exists and is not empty; it was left as it is"),
    ("init folder", 2, "images"),
]


@pytest.fixture(scope="module")
def place(toy_store, photos, tmp_path_factory):
    """A folder with one of each thing that is mixed up with another."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(toy_store, folder / "store")
    shutil.copytree(toy_store, folder / "half")
    (folder / "half" / "ledger" / "zarr.json").unlink()
    (folder / "photos").symlink_to(photos)
    udta.train(toy_store, adapter="ridge", out=folder / "run")
    (folder / "empty").mkdir()
    (folder / "folder").mkdir()
    (folder / "folder" / "thesis.txt").write_text("precious")
    (folder / "file").write_text("text")
    (folder / "wrong.yaml").write_text("adapters: {a: {adpter: linear}}\n")
    (folder / LATIN).mkdir()
    return folder


def test_every_verb_is_walked():
    # `stage` is for graphs, which have tests of their own.
    walked = {case[0].split()[0] for case in WALK}
    assert set(VERBS) - walked <= {"backbones", "stage", "add-dataset", "add-backbone", "add-adapter"}


def test_the_walk(udta_command, place, monkeypatch):
    """All of them in one test: what one leaves, the next would find."""
    monkeypatch.chdir(place)
    before = sorted(path.name for path in place.iterdir())
    wrong = []
    for line, status, message in WALK:
        words = [word.replace("{latin}", LATIN) for word in shlex.split(line)]
        found, out, err = udta_command(*words)
        # One message, and nothing of how it was found out.
        told = err + out * (words[0] == "doctor")
        if found != status or message not in told or "Traceback" in told or "/proc/self" in told:
            wrong.append((line, found, err[-400:]))
        if sorted(path.name for path in place.iterdir()) != before:
            wrong.append((line, "left something"))
    assert wrong == []
