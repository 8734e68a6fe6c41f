"""Code of the same name and weights that computes something else is refused wherever its features would meet those stored."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from toy import ToyNet, photographs

import udta
from udta.backbones import _probing as probing
from udta.errors import AdapterError, BackboneError, StaleStoreError
from udta.extraction.plan import plan
from udta.probe import Probe
from udta.store import engine_at

OPTIONS = {"backbone": "toy:net", "taps": "stage1=grid(4),stage2=avg"}
ORIGINAL = ToyNet.forward


@pytest.fixture
def folder(tmp_path):
    return photographs(tmp_path / "photos", per_class=4)


@pytest.fixture
def edit(monkeypatch):
    """Edits the forward of the backbone."""

    def edited(forward):
        monkeypatch.setattr(ToyNet, "forward", forward)

    return edited


def negative(self, images):
    return ORIGINAL(self, -images)


def dropout(self, images):
    return ORIGINAL(self, F.dropout(images, 0.1))


def test_edited_code_is_refused_by_everything_that_would_mix_its_features(folder, tmp_path, edit):
    store, run = tmp_path / "s.zarr", tmp_path / "run"
    udta.extract(folder, out=store, **OPTIONS)
    udta.train(store, out=run, adapter="linear", recipe={"epochs": 1})
    edit(negative)
    for more in ({}, {"views": 2}):  # complete already, or to grow
        with pytest.raises(StaleStoreError) as caught:
            udta.extract(folder, out=store, **OPTIONS, **more)
        assert [line.partition(":")[0] for line in caught.value.differences] == [
            "code",
            "tap 'stage1'",
            "tap 'stage2'",
            "cause",
        ]
    assert plan(folder, out=store, **OPTIONS).state == "refused"
    with pytest.raises(StaleStoreError, match="computes other features"):
        udta.recompute(store, backbone="toy:net")
    for check in (
        lambda: udta.predict(folder, adapters=[run], out=tmp_path / "p.csv", backbone="toy:net"),
        lambda: udta.parity(run, store, backbone="toy:net"),
    ):
        with pytest.raises(AdapterError, match="computes other features"):
            check()
    assert udta.extract(folder, out=store, if_stale="replace", **OPTIONS).computed_rows == 12
    with pytest.raises(AdapterError, match="computes other features"):
        udta.evaluate(run, store)


def test_an_unfinished_store_is_not_continued_with_edited_code(folder, tmp_path, edit, monkeypatch):
    class InterruptedTestError(Exception):
        pass

    def stop(what, done, total, note):
        if done > 16:
            raise InterruptedTestError

    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 16)
    more = photographs(tmp_path / "more")
    with pytest.raises(InterruptedTestError):
        udta.extract(more, out=tmp_path / "s", progress=stop, **OPTIONS)
    assert udta.open_store(tmp_path / "s").n_committed == 16
    edit(negative)
    with pytest.raises(StaleStoreError, match="code:"):
        udta.extract(more, out=tmp_path / "s", **OPTIONS)


def test_other_versions_alone_say_nothing(folder, tmp_path, edit, monkeypatch):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    monkeypatch.setattr(probing, "_versions", lambda _: {"torch": "9.9"})
    assert udta.extract(folder, out=tmp_path / "s", **OPTIONS).computed_rows == 0
    edit(negative)
    with pytest.raises(StaleStoreError, match=rf"torch {torch.__version__.partition('+')[0]} then, 9\.9 now"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)


def test_a_store_without_a_probe_is_used_as_before(folder, tmp_path, edit):
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    engine = engine_at(tmp_path / "s")
    engine.save_metadata(replace(engine.load(), probe=Probe()))
    edit(negative)
    assert udta.extract(folder, out=tmp_path / "s", **OPTIONS).computed_rows == 0
    assert not udta.open_store(tmp_path / "s").layout.probe


def test_a_tap_that_comes_later_gets_its_own_numbers(folder, tmp_path, edit):
    udta.extract(folder, out=tmp_path / "s", backbone="toy:net", taps="stage2=avg")
    udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    udta.extract(folder, out=tmp_path / "whole", **OPTIONS)
    grown, whole = (udta.open_store(tmp_path / name).layout for name in ("s", "whole"))
    assert grown.probe == whole.probe
    assert list(whole.probe.taps) == ["stage1", "stage2"]


def test_a_backbone_that_draws_is_refused_unless_it_is_allowed(folder, tmp_path, edit):
    edit(dropout)
    with pytest.raises(BackboneError, match=r"no function of one image.*its own forward \(ToyNet\)"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert not (tmp_path / "s").exists()
    before = torch.get_rng_state()
    udta.extract(folder, out=tmp_path / "s", allow_impure=True, **OPTIONS)
    assert torch.equal(torch.get_rng_state(), before)
    layout = udta.open_store(tmp_path / "s").layout
    assert layout.impure == ("its own forward (ToyNet)",)
    assert not layout.probe
    with pytest.raises(BackboneError, match="--allow-impure"):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert udta.extract(folder, out=tmp_path / "s", allow_impure=True, **OPTIONS).computed_rows == 0


def test_a_view_of_a_map_is_extracted_contiguous_and_says_so(folder, tmp_path, edit):
    def viewing(self, images):
        middle = self.stage2(self.stage1(images))
        return self.head(middle.view(len(middle), -1)[:, :16])

    edit(viewing)
    options = {"backbone": "toy:net", "taps": "stage2=avg,head"}
    udta.extract(folder, out=tmp_path / "s", **options)
    assert udta.open_store(tmp_path / "s").layout.memory_format == "contiguous"
    assert udta.extract(folder, out=tmp_path / "s", **options).computed_rows == 0
    report = udta.recompute(tmp_path / "s", backbone="toy:net")
    assert (report.exact, report.differing) == (1.0, ())
    udta.train(tmp_path / "s", out=tmp_path / "run", adapter="linear", recipe={"epochs": 1})
    assert udta.parity(tmp_path / "run", tmp_path / "s", split=None, backbone="toy:net").same_top1 == 1.0
    assert udta.predict(folder, adapters=[tmp_path / "run"], out=tmp_path / "p.csv", backbone="toy:net").images == 12
