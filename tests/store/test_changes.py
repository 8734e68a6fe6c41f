"""What comes, goes and changes among the images of a store; each row is counted once."""

from udta.fingerprint import UNREADABLE
from udta.store import Record
from udta.store._changes import changes

A, B, C, D, E = (letter * 64 for letter in "abcde")
STORED = ["1", "2", "3", "4", "5", "6"]  # 5 was skipped, 6 is not committed
RECORDS = {0: Record(0, 0, 5, (("1", A), ("2", A), ("3", B), ("4", C), ("5", UNREADABLE)), {}, {4: "is a link"})}
SAME = {"1": A, "2": A, "3": B, "4": C, "5": UNREADABLE, "6": D}


def found(**asked):
    """With other samples than those that are there; None for one that is gone."""
    samples = {**SAME, **{name.strip("_"): content for name, content in asked.items()}}
    return changes(STORED, RECORDS, [(name, content) for name, content in samples.items() if content])


def test_nothing():
    assert str(found()) == ""
    assert found().refusal() == []


def test_every_kind():
    assert str(found(_7=E)) == "1 new"
    assert str(found(_3=E)) == "1 with another content"
    assert str(found(_3=None, _7=B)) == "1 renamed"
    assert found(_3=None).removed == ("3",)
    assert found(_6=None).removed == ("6",)  # nobody knows what it holds
    assert found(_5=None).removed == ()  # there is nothing to lose
    assert str(found(_5=E)) == ""
    assert found(_3=UNREADABLE).removed == ("3",)
    assert found(_6=UNREADABLE).removed == ()  # it is not computed yet, and will be skipped


def test_equal_images_are_counted_one_by_one():
    assert found(_1=None).removed == ("1",)
    one = found(_1=None, _2=None, _7=A)
    assert (one.removed, one.renamed, one.new) == (("2",), 1, 0)
    assert (found(_1=None, _2=None, _7=A, _8=A).renamed, found(_1=None, _7=A, _8=A).new) == (2, 1)


def test_files_that_cannot_be_read_are_not_the_same_image():
    moved = found(_5=None, _3=None, _7=UNREADABLE)
    assert (moved.removed, moved.renamed, moved.new) == (("3",), 0, 1)


def test_the_refusal_names_the_first_and_says_what_to_do():
    (line,) = changes([f"{row:04d}.png" for row in range(1600)], {}, []).refusal()
    assert line.startswith("removes 1,600 of 1,600 rows")
    assert "(0000.png, 0001.png, 0002.png, ...)" in line
    assert "--prune" in line
