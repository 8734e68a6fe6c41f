"""The page: whole in itself, whatever the names in it are."""

import re
from html.parser import HTMLParser

from udta.reporting._charts import bar_chart
from udta.reporting._page import Cell, Gallery, Missing, Picture, Section, Table, write_page
from udta.reporting._thumbnails import Thumbnails
from udta.store import open_store

EVIL = "<script>alert(1)</script>\x00\u202e\"'"


class Elements(HTMLParser):
    """Names and attributes of every element, and that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_names_out_of_files_are_text_and_nothing_is_fetched(tmp_path):
    chart = bar_chart("bars", {EVIL: 0.5}, axis="x", alt=EVIL, caption=EVIL)
    blocks = [
        EVIL,
        Table(["name", EVIL], [[EVIL, Cell(EVIL, EVIL, strong=True)]], EVIL),
        chart,
        Gallery([Picture("data:image/jpeg;base64,AA==", EVIL, [EVIL])], EVIL),
        Missing(EVIL),
    ]
    sections = [Section("One", blocks), Section("Empty", [])]
    written = write_page(tmp_path / "report.html", EVIL, sections, summary=EVIL, figures={EVIL: EVIL})
    assert [file.name for file in written] == ["bars.svg", "report.html"]
    assert (tmp_path / "report_files" / "bars.svg").is_file()
    text = (tmp_path / "report.html").read_text()
    elements = Elements(text)
    assert not elements.open
    assert "script" not in {tag for tag, _ in elements.found}
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "Empty" not in text
    links = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href")
    ]
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"url\((?!#)|@import", text)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_charts_of_before_go_with_their_page(tmp_path):
    for name in ("old", "new"):
        section = Section("One", [bar_chart(name, {"a": 1.0}, axis="x", alt="a", caption="c")])
        write_page(tmp_path / "report.html", "title", [section])
    assert [file.name for file in (tmp_path / "report_files").iterdir()] == ["new.svg"]


def test_thumbnails_are_of_the_photographs_of_the_rows_or_say_why_there_are_none(toy_store, tmp_path, photos):
    store = open_store(toy_store)
    picture = Thumbnails(store).picture(3, "bird")
    assert picture.source.startswith("data:image/jpeg;base64,")
    assert picture.alt == f"{store.ids[3]}: bird"
    gone = Thumbnails(store, tmp_path)
    assert gone.picture(3) is None
    assert str(store.ids[3]) in gone.problem
