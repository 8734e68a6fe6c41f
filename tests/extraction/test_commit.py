"""Several blocks on their way to the disk at the same time."""

import pytest
from toy import photographs

import udta
from udta.errors import StoreError
from udta.extraction._work import Effort
from udta.store import BlockWriter

OPTIONS = {"backbone": "toy:net", "taps": "stage1,stage2=avg", "device": "cpu"}


@pytest.fixture
def several_writers(monkeypatch):
    def on(_device, prefetch, threads=None, turns=None):
        return Effort(prefetch, threads, 3, turns)

    monkeypatch.setattr(Effort, "on", on)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("images") / "photos", per_class=200)


def contents(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("engine", ["zarr", "hdf5"])
def test_the_bytes_are_those_of_one_writer(images, tmp_path, request, engine):
    udta.extract(images, out=tmp_path / "one", format=engine, **OPTIONS)
    request.getfixturevalue("several_writers")
    udta.extract(images, out=tmp_path / "three", format=engine, **OPTIONS)
    assert contents(tmp_path / "three") == contents(tmp_path / "one")


@pytest.mark.usefixtures("several_writers")
def test_an_error_of_one_ends_the_run_and_the_same_command_goes_on(images, tmp_path, monkeypatch):
    original = BlockWriter.write

    def write(self, block, *rest, **options):
        if block == 1:
            raise StoreError("the disk is full")
        original(self, block, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "write", write)
        with pytest.raises(StoreError, match="the disk is full"):
            udta.extract(images, out=tmp_path / "store", **OPTIONS)
    report = udta.extract(images, out=tmp_path / "store", **OPTIONS)
    assert 0 < report.computed_rows < 600
    assert not udta.verify(tmp_path / "store").bad
