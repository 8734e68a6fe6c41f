"""No `taps`: the recommended ones for a new store, within a budget, and for one that is there those that it has."""

import logging

import pytest
from PIL import Image
from test_killed_command import tree
from toy import photographs

import udta
from udta.backbones import build_backbone, list_taps, recommended_taps
from udta.errors import ConfigError, StaleStoreError

OPTIONS = {"backbone": "toy:net", "views": 2, "compute": "float32"}


@pytest.fixture
def folder(tmp_path):
    return photographs(tmp_path / "photos", per_class=4)


def suggested(budget=None):
    return recommended_taps(list_taps(build_backbone("toy:net"), "float16", budget))


def features(path):
    """The files that hold them."""
    return {name: data for name, data in tree(path).items() if name.startswith("taps/")}


def test_a_new_store_has_the_recommended_taps_says_so_and_is_that_of_the_same_taps_typed(folder, tmp_path, caplog):
    caplog.set_level(logging.INFO, "udta")
    report = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    typed = udta.extract(folder, taps=suggested(), out=tmp_path / "typed", **OPTIONS)
    found, same = udta.open_store(tmp_path / "s"), udta.open_store(tmp_path / "typed")
    assert found.fingerprint == same.fingerprint
    assert features(tmp_path / "s") == features(tmp_path / "typed")
    assert (found.source["taps"], same.source.get("taps")) == ("recommended", None)
    line = f"taps: recommended, {report.taps.text}, {report.taps.bytes_per_view:,} bytes a view"
    assert [record.getMessage() for record in caplog.records if record.name == "udta.extraction.extract"] == [line]
    assert line in str(report).splitlines()
    assert report.to_json()["taps"] == {
        "text": report.taps.text, "by": "recommended", "bytes_per_view": report.taps.bytes_per_view, "budget": None,
    }  # fmt: skip
    assert (typed.taps.by, typed.taps.text, typed.taps.lines) == ("asked", report.taps.text, [])


def test_what_is_reported_gives_the_same_store_when_it_is_typed(folder, tmp_path):
    report = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    again = udta.extract(folder, taps=report.taps.text, out=tmp_path / "s", **OPTIONS)
    assert (again.computed_rows, again.fingerprint) == (0, report.fingerprint)


def test_a_budget_is_kept_and_remembered(folder, tmp_path):
    everything = udta.plan(folder, out=tmp_path / "s", **OPTIONS).taps.bytes_per_view
    planned = udta.plan(folder, out=tmp_path / "s", budget=everything // 2, **OPTIONS)
    report = udta.extract(folder, out=tmp_path / "s", budget=f"{everything / 2e3}kB", **OPTIONS)
    assert planned.taps == report.taps
    assert report.taps.bytes_per_view <= everything // 2
    assert udta.open_store(tmp_path / "s").source["taps"] == f"recommended within {everything // 2} bytes a view"
    assert f"taps: recommended, {report.taps.text}, {report.taps.bytes_per_view:,} bytes a view" in str(planned)


@pytest.mark.parametrize("change", ["grows", "continues", "replaced"])
def test_a_recommendation_that_changed_changes_no_store_but_one_that_is_replaced(folder, tmp_path, monkeypatch, change):
    first = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    monkeypatch.setattr("udta.backbones._taps.recommended", lambda *_: {"stage2": "avg"})
    if change == "replaced":
        report = udta.extract(folder, out=tmp_path / "s", if_stale="replace", **OPTIONS)
        assert (report.taps.text, report.taps.by) == ("stage2=avg", "recommended")
        return
    if change == "grows":
        Image.new("RGB", (20, 20), "teal").save(folder / "bird" / "new.png")
    planned = udta.plan(folder, out=tmp_path / "s", **OPTIONS)
    report = udta.extract(folder, out=tmp_path / "s", **OPTIONS)
    assert (planned.state, report.computed_rows) == (("grows", 1) if change == "grows" else ("complete", 0))
    assert (report.taps.text, report.taps.by, planned.taps) == (first.taps.text, "stored", report.taps)
    assert "taps: those of the store, " in str(report)
    assert udta.open_store(tmp_path / "s").source["taps"] == "recommended"


def test_a_store_with_taps_of_ones_own_keeps_them_and_says_where_it_is_above_the_budget(folder, tmp_path):
    udta.extract(folder, taps="stage1=grid(4)", out=tmp_path / "s", **OPTIONS)
    report = udta.extract(folder, out=tmp_path / "s", budget=100, **OPTIONS)
    assert (report.computed_rows, list(udta.open_store(tmp_path / "s").taps)) == (0, ["stage1"])
    assert ", above the budget of 100: another --out will keep to it" in str(report)
    assert "taps" not in udta.open_store(tmp_path / "s").source


def test_a_store_of_another_backbone_is_refused_for_that(folder, tmp_path):
    udta.extract(folder, taps="stage1=grid(4)", out=tmp_path / "s", **OPTIONS)
    with pytest.raises(StaleStoreError, match="backbone/factory"):
        udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "backbone": "toy:net?width=9"})
    with pytest.raises(StaleStoreError, match="backbone/factory"):
        udta.extract(folder, out=tmp_path / "s", **{**OPTIONS, "backbone": "recorded_stores:net"})


def test_each_store_of_several_has_its_own(folder, tmp_path):
    stores = [
        {"out": tmp_path / "a", "taps": "stage1=avg"},
        {"out": tmp_path / "b"},
        {"out": tmp_path / "c", "budget": 1000},
    ]
    reports = udta.extract_many(folder, stores, **OPTIONS)
    assert [report.taps.by for report in reports] == ["asked", "recommended", "recommended"]
    assert reports[1].taps.bytes_per_view > 1000 >= reports[2].taps.bytes_per_view


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": "stage1", "budget": 1000}, "^budget is for taps that are recommended, but taps are given"),
        ({"budget": 1}, "budget is 1 bytes a view, but the least of the recommended taps, .* takes"),
        ({"budget": "2 furlongs"}, "^budget is '2 furlongs': give a number of bytes, such as 300000"),
        ({"budget": 0}, "^budget is 0: give a number of bytes"),
    ],
)
def test_a_budget_that_cannot_be(folder, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        udta.extract(folder, out=tmp_path / "s", **OPTIONS, **options)
    assert not (tmp_path / "s").exists()
