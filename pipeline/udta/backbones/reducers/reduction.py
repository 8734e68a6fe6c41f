"""What each reducer says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor


class Reduction(ABC):
    """What one reducer does to maps and tokens; `Reducer` has seen to the rest (float32, channels first, no vector).

    A subclass is a frozen dataclass of what stands in its brackets. It lies in a file of its own and has a line in the registry.
    """

    name: ClassVar[str]
    # As messages and help write it.
    spelling: ClassVar[str]
    # Whether it is written down how many tokens a backbone declares before its patches. `none` keeps those as well, and
    # writing `none(prefix=5)` would give the same features another fingerprint.
    notes_prefix: ClassVar[bool] = True
    # Whether it reads the class token: timm's DINOv3 and others have registers before the patches and no class token.
    reads_class_token: ClassVar[bool] = False

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Reduction | None:
        """From what stands in its brackets, without what `Reducer` reads itself; None where that is wrong."""
        return None if arguments else cls()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What stands in its brackets: the inverse of `read`."""
        return ()

    @property
    def needs_rectangle(self) -> bool:
        """Whether patches have to fill a rectangle of the input's shape."""
        return False

    def settled(self, grid: tuple[int, int] | None, *, of_tokens: bool, class_token: bool) -> Reduction:
        """As it is written in a store, with what an output does not show.

        Args:
            grid: rows and columns of the map, or of the patches; None where patches fill none.
            of_tokens: whether they are patches, of which only the number shows.
            class_token: whether a class token is the first of what comes before them.
        """
        return self

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """Why it cannot reduce an output of this shape (one to three dimensions, channels first, without batch); None if it can.

        The end of a sentence that begins with the reducer: `grid(7) is ...`.
        """
        return None

    def of_map(self, values: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch ..."]:
        """A map, reduced; it may share memory with `values`. For a reducer whose `problem` refuses maps there is none."""
        raise NotImplementedError

    @abstractmethod
    def of_tokens(self, values: Float[Tensor, "batch token channels"], prefix: int) -> Float[Tensor, "batch ..."]:
        """Tokens, of which `prefix` come before the patches, reduced; it may share memory with `values`."""
