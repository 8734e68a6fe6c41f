"""Models that timm saved in a folder (`timm.models.save_for_hf`): `local-dir:DIR`, as timm spells it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from udta._console.terminal import first_few
from udta.backbones.sources import _timm_config, _timm_model
from udta.backbones.sources._timm_source import TimmSource
from udta.backbones.sources.source import Blueprint
from udta.errors import ConfigError, WeightsError


class LocalDir(TimmSource):
    """`config.json` in the folder says what is built, and weights are beside it."""

    name: ClassVar[str] = "local-dir"
    prefix: ClassVar[str] = "local-dir:"
    spelling: ClassVar[str] = "local-dir:DIR"
    default_weights: ClassVar[str] = "pretrained"

    def accepts(self, name: str) -> bool:
        """By the prefix alone."""
        return name.startswith(self.prefix)

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a folder.

        Raises:
            ConfigError: no timm, no such folder, or one of another library. WeightsError: no weights in it, or a wrong file.
        """
        self.needed(name)
        folder = self._folder(name)
        if not (folder / _timm_config.CONFIG).is_file():
            raise ConfigError(
                f"backbone {name}: {folder} is no folder with a {_timm_config.CONFIG}; timm.models.save_for_hf writes one"
            )
        model = _timm_config.read_config(folder / _timm_config.CONFIG, name)

        def published() -> dict[str, Any]:
            file = _only_weights(folder, weights)
            return {"file": file, "weights": str(file)}

        return model.blueprint(arguments, size, **self.found(weights, name, published))

    def resolved(self, name: str) -> str:
        """With a path from the root."""
        return self.prefix + str(self._folder(name))

    def is_safe_from_file(self, name: str) -> bool:
        """A folder by its path from the root: a relative one would be looked up in whatever folder the user stands in."""
        return Path(name.removeprefix(self.prefix)).is_absolute() and not self.missing()

    def _folder(self, name: str) -> Path:
        return Path(name.removeprefix(self.prefix)).resolve()


def _only_weights(folder: Path, weights: str) -> Path:
    """The weights in a folder. Raises `WeightsError`: none, or a choice."""
    if "@" in weights:
        raise WeightsError(f"weights {weights!r}: a folder has no revisions: leave --weights out")
    for name in _timm_model.WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(path for ending in ("safetensors", "pth", "pt", "bin") for path in folder.glob(f"*.{ending}"))
    if len(others) == 1:
        return others[0]
    there = first_few(path.name for path in others) or "no weights at all"
    raise WeightsError(f"{folder} has {there}, and no {' or '.join(_timm_model.WEIGHTS)}: give one file as --weights")
