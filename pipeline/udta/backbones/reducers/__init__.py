"""Reducers: what is done to a tap's output before it is stored, always in float32.

reducer      a reducer as it is written, `grid(7,prefix=5)`: reading it, whether it fits an output, reducing
registry     the ones there are, a line each
reduction    what each of them says of itself
geometry     how positions lie in an image: what the input and the backbone say, or numbers alone
none         the output as it is
grid         maps, or the rectangle of the patches, as they are or averaged down
avg          one average over all positions
cls          the class token
registers    what stands between it and the patches
tokens       the patches, without what comes before them

A tap's output is a map `[B, C, H, W]` (Swin has it as `[B, H, W, C]`), tokens `[B, T, D]`, or a vector `[B, C]`. Tokens are those
of a grid of patches, after `prefix` others: a class token, a distillation token, registers.
"""

from udta.backbones.reducers.geometry import Geometry
from udta.backbones.reducers.reducer import Reducer, positions
from udta.backbones.reducers.registry import REDUCERS

__all__ = ["REDUCERS", "Geometry", "Reducer", "positions"]
