"""JSON documents with one value replaced or taken away, for tests of what reads them."""

import json

from hypothesis import strategies as st

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["", "../x", "\0", "\ud800", "x" * 300, "float16", "uint8", "zarr", "1e400", "nan"]),
    st.lists(st.integers(-1, 3), max_size=3),
    st.just({}),
    st.just({"x": {"y": [1]}}),
)


def places(document, path=()):
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def changed(draw, document):
    """The document with one value replaced or taken away."""
    copy = json.loads(json.dumps(document))
    path = draw(st.sampled_from([path for path in places(copy) if path]))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = draw(VALUES)
    return copy
