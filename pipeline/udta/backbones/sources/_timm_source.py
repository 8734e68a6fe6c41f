"""What timm's three sources share: the library, and the choice between published weights, a file and none."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from udta.backbones.sources.source import Source, is_pretrained
from udta.errors import ConfigError, WeightsError

_INSTALL = "pip install 'udta[timm]'"


class TimmSource(Source, ABC):
    """A source of models that timm builds."""

    library: ClassVar[str] = "timm"

    def missing(self) -> str:
        """How to install timm."""
        return _INSTALL if timm_library() is None else ""

    def needed(self, name: str) -> None:
        """Raises `ConfigError` where timm is not installed."""
        if self.missing():
            raise ConfigError(f"backbone {name} needs timm, which is not installed: {_INSTALL}")

    def found(self, weights: str, name: str, published: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The fields of a blueprint that tell of the weights.

        Args:
            weights: `pretrained[@REV]`, a file, or `none`.
            name: of the backbone, for errors.
            published: those that are meant by `pretrained`, asked for them alone.

        Raises:
            WeightsError: it is a file that is not there, or as `published`.
        """
        if is_pretrained(weights):
            return published()
        if weights == "none":
            return {}
        if not Path(weights).is_file():
            raise WeightsError(
                f"weights {weights!r}: there is no such weights file; {name} takes a file, pretrained[@REV] or none"
            )
        return {"file": Path(weights)}


def timm_library() -> ModuleType | None:
    """timm, imported when a name needs it (it takes a second); None where it is not installed."""
    try:
        import timm
    except ImportError:
        return None
    return timm
