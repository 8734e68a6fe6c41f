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


def test_a_table_without_lines_has_its_headings():
    assert text_table(("name", "n"), []) == "name  n\n----  -"


def test_only_newlines_end_lines_and_an_indent_stays():
    assert text_table(("a", "b"), [("  x\u2028y", "1")], left=2).split("\n")[-1].startswith("  x\u2028y  ")
