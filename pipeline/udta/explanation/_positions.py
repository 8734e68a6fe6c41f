"""Where on an image the positions of a tap lie."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from udta.adapters import AdapterHeader
from udta.backbones import Geometry
from udta.errors import AdapterError
from udta.fingerprint import TapSpec
from udta.images import Transform


class TapPositions:
    """The features of one image at one tap, as vectors that a gradient can be taken of.

    Attributes:
        vectors: float32 `[positions, channels]`, a leaf.
        feature: made of them, in the shape of the tap.

    Args:
        tap: as the adapter reads it.
        feature: in that shape, or the map `[C, H, W]` of a tap that is stored as its average.
        size: height and width of the view in pixels.

    Raises:
        AdapterError: the feature has another shape.
    """

    def __init__(self, tap: TapSpec, feature: Float[Tensor, ...], size: tuple[int, int]) -> None:
        shape, values = tuple(feature.shape), feature.detach().float()
        averaged = shape != tap.shape and len(shape) == 3 and shape[:1] == tap.shape
        if shape != tap.shape and not averaged:
            raise AdapterError(f"tap {tap.name!r} is of shape {list(tap.shape)}, these features have {list(shape)}")
        vectors = values.flatten(1).T if len(shape) == 3 else values.reshape(-1, shape[-1])
        self.vectors: Float[Tensor, "position channels"] = vectors.clone().requires_grad_()
        if averaged:
            self.feature = self.vectors.mean(dim=0)
        else:
            self.feature = self.vectors.T.reshape(shape) if len(shape) == 3 else self.vectors.reshape(shape)
        # Rows and columns, and how many vectors come before them; None where none of them lies anywhere.
        self._grid = (shape[1], shape[2]) if len(shape) == 3 else _grid_of(tap, size)
        self._before = len(self.vectors) - (self._grid[0] * self._grid[1] if self._grid else 0)

    def lay_out(
        self, values: Float[Tensor, " position"]
    ) -> tuple[Float[Tensor, " before"] | None, Float[Tensor, "rows columns"] | None]:
        """A number for each vector: of those that lie nowhere, and of those that do; None where there are no such."""
        before, rest = values[: self._before], values[self._before :]
        return (before if len(before) else None), (rest.reshape(self._grid) if self._grid else None)


def input_size(header: AdapterHeader) -> tuple[int, int]:
    """Height and width of view 0 in pixels.

    Raises:
        AdapterError: the header does not say.
    """
    size = Transform.parse(header.fingerprint.text("input", "evaluate")).size
    if size is None:
        raise AdapterError("this adapter does not say of which size its images were, so no position can be found")
    return size


def _grid_of(tap: TapSpec, size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of the patches among so many tokens, which come last."""
    if len(tap.shape) != 2 or tap.reducer.startswith("registers"):
        return None
    geometry, tokens = Geometry(size), tap.shape[0]
    before = geometry.before(tokens)
    # More than one token before the patches, which `none` does not note: the largest grid of the view's shape.
    return geometry.likely(tokens) if before is None else geometry.arranged(tokens - before)
