"""Characters that drive a terminal are shown escaped."""

from udta._console.terminal import one_line, shown


def test_a_character_is_shown_as_python_writes_it():
    assert shown("a\x1b[31m\x9b\x7f\u202e\udc80") == r"a\x1b[31m\x9b\x7f\u202e\udc80"
    assert shown("Größe\t日本\n👍") == "Größe\t日本\n👍"
    assert one_line("a\nb\tc") == r"a\nb\tc"
