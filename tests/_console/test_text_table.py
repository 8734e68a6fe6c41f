"""Tables on a terminal: as wide as what stands in them, and what stands in them as it is."""

from udta._console.text_table import text_table


def test_texts_begin_and_figures_end_at_the_same_place():
    table = text_table(("name", "task", "top-1 %"), [("udta", "store", "91.20"), ("1e5", "", "9.1")], left=2)
    assert table.splitlines() == [
        "name  task   top-1 %",
        "----  -----  -------",
        "udta  store    91.20",
        "1e5              9.1",
    ]


def test_columns_without_room_go_on_below_and_nothing_is_left_out(monkeypatch):
    headings, rows = (
        ("tap", "module", "stored", "bytes"),
        [("features.13", "Conv2d", "grid(14)", "1"), ("f", "", "", "22")],
    )
    whole = text_table(headings, rows, left=3, dashes=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for columns, expected in (
        (80, whole.split("\n")),
        (
            28,
            [
                "tap          module",
                "    stored    bytes",
                "features.13  Conv2d",
                "    grid(14)      1",
                "f",
                "                 22",
            ],
        ),
        (5, None),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = text_table(headings, rows, left=3, dashes=False).split("\n")
        assert lines == expected or expected is None
        assert sorted(" ".join(lines).split()) == sorted(whole.split())
        assert columns == 5 or max(map(len, lines)) <= columns
    assert text_table(headings, rows, left=3, dashes=False, fold=False) == whole


def test_a_table_without_lines_has_its_headings():
    assert text_table(("name", "n"), []) == "name  n\n----  -"


def test_only_newlines_end_lines_and_an_indent_stays():
    assert text_table(("a", "b"), [("  x\u2028y", "1")], left=2).split("\n")[-1].startswith("  x\u2028y  ")
