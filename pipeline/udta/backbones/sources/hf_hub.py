"""Models that somebody pushed to a hub with timm: `hf-hub:ORG/NAME[@REV]`, as timm spells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from udta.backbones.sources import _hub, _timm_config, _timm_model
from udta.backbones.sources.source import Blueprint, Source, is_pretrained


class HfHub(Source):
    """`config.json` of the repository says what is built; weights are beside it, of the same commit."""

    name: ClassVar[str] = "hf-hub"
    prefix: ClassVar[str] = "hf-hub:"
    spelling: ClassVar[str] = "hf-hub:ORG/NAME"
    library: ClassVar[str] = "timm"
    default_weights: ClassVar[str] = "pretrained"

    def accepts(self, name: str) -> bool:
        """By the prefix alone."""
        return name.startswith(self.prefix)

    def missing(self) -> str:
        """How to install timm."""
        return _timm_model.INSTALL if _timm_model.library() is None else ""

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a repository.

        Raises:
            ConfigError: no timm, no such repository or revision, or one of another library. WeightsError: as a download.
        """
        _timm_model.needed(name)
        repo, revision = self._place(name, weights)
        config = _hub.fetch(repo, [_timm_config.CONFIG], revision)
        model, found = _timm_config.read_config(config.path, name), {}
        if is_pretrained(weights):
            # Of the same commit, even if the branch has moved on in between.
            file = _hub.fetch(repo, _timm_model.WEIGHTS, config.revision)
            found = {"file": file.path, "origin": config.origin}
        elif weights != "none":
            found = {"file": _timm_model.weights_file(weights, name)}
        return model.blueprint(arguments, size, **found)

    def is_safe_from_file(self, name: str) -> bool:
        """What is built is an architecture of timm; that nothing is fetched for it, `no_downloads` sees to."""
        return _timm_model.library() is not None

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
