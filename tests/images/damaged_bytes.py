"""Files of images with a few bytes changed and the end cut off."""

from hypothesis import strategies as st


@st.composite
def damaged(draw, sources):
    """One of `sources`, damaged."""
    content = draw(st.sampled_from(sources))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        changed[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(changed[: draw(st.integers(1, len(content)))])
