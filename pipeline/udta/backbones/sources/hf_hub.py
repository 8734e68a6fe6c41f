"""Models that somebody pushed to a hub with timm: `hf-hub:ORG/NAME[@REV]`, as timm spells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from udta.backbones.sources import _hub, _timm_config, _timm_model
from udta.backbones.sources._timm_source import TimmSource
from udta.backbones.sources.source import Blueprint, is_pretrained


class HfHub(TimmSource):
    """`config.json` of the repository says what is built; weights are beside it, of the same commit."""

    name: ClassVar[str] = "hf-hub"
    prefix: ClassVar[str] = "hf-hub:"
    spelling: ClassVar[str] = "hf-hub:ORG/NAME"
    default_weights: ClassVar[str] = "pretrained"

    def accepts(self, name: str) -> bool:
        """By the prefix alone."""
        return name.startswith(self.prefix)

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a repository.

        Raises:
            ConfigError: no timm, no such repository or revision, or one of another library. WeightsError: as a download.
        """
        self.needed(name)
        repo, revision = self._place(name, weights)
        config = _hub.fetch(repo, [_timm_config.CONFIG], revision)
        model = _timm_config.read_config(config.path, name)

        def published() -> dict[str, Any]:
            # Of the same commit, even if the branch has moved on in between.
            return {"file": _hub.fetch(repo, _timm_model.WEIGHTS, config.revision).path, "origin": config.origin}

        return model.blueprint(arguments, size, **self.found(weights, name, published))

    def is_safe_from_file(self, name: str) -> bool:
        """What is built is an architecture of timm; that nothing is fetched for it, `no_downloads` sees to."""
        return not self.missing()

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether configuration and weights of a commit are in the cache."""
        repo, revision = self._place(name, weights)
        return is_pretrained(weights) and all(
            _hub.is_cached(repo, names, revision) for names in ([_timm_config.CONFIG], _timm_model.WEIGHTS)
        )

    def _place(self, name: str, weights: str) -> tuple[str, str | None]:
        """Repository and revision; `pretrained@REV` is nearer than the name, since a store remembers a commit by it."""
        repo, revision = _hub.split_revision(name.removeprefix(self.prefix))
        return repo, (weights.partition("@")[2] if is_pretrained(weights) else "") or revision
