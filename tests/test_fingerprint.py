"""Fingerprints: one spelling, and a diff that names every field."""

from hypothesis import given
from hypothesis import strategies as st

from udta.fingerprint import Fingerprint, TapSpec

values = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
fields = st.dictionaries(
    st.text(max_size=4), values | st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=5
)


@given(fields)
def test_the_order_of_fields_is_not_part_of_it(document):
    backwards = dict(reversed(list(document.items())))
    assert Fingerprint(document).digest == Fingerprint(backwards).digest
    assert Fingerprint(document).diff(Fingerprint(backwards)) == []


def test_diff_names_every_field_that_differs():
    stored = Fingerprint({"backbone": {"weights": "a", "factory": "f"}, "dtype": "float16"})
    asked = Fingerprint({"backbone": {"weights": "b", "factory": "f"}, "views": {"count": 2}, "dtype": "float16"})
    assert stored.diff(asked) == [
        'backbone/weights: stored "a", asked "b"',
        'views/count: stored "nothing", asked 2',
    ]


def test_part_keeps_what_is_named():
    assert Fingerprint({"a": 1, "b": 2}).part("b", "c") == Fingerprint({"b": 2})


def test_tap_specs_survive_json():
    spec = TapSpec("layer4", "grid(7)", (512, 7, 7), "float16")
    assert TapSpec.from_json(spec.to_json()) == spec
