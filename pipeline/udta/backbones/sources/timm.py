"""timm's models by its own names (the extra `timm`), with or without a pretrained tag.

The tag, as in `vit_small_patch14_dinov2.lvd142m`, says which published weights are meant: `--weights pretrained` fetches them.
Their input and number of classes are the defaults, so that a file of them fits as well. Without a tag it is timm's default one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from udta.backbones.sources import _hub, _timm_model, _url
from udta.backbones.sources._timm_source import TimmSource, timm_library
from udta.backbones.sources.source import Blueprint, Offer, is_pretrained
from udta.errors import ConfigError, WeightsError, did_you_mean


class Timm(TimmSource):
    """Everything that `timm.list_models` lists."""

    name: ClassVar[str] = "timm"
    prefix: ClassVar[str] = "timm:"
    spelling: ClassVar[str] = "NAME, NAME.TAG, timm:NAME"

    def names(self) -> list[str]:
        """All architectures, and all with a tag; none where timm is not installed."""
        timm = timm_library()
        return [] if timm is None else [*timm.list_models(), *timm.list_models(pretrained=True)]

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of one of `names`; `img_size` among the arguments replaces the image size of its configuration.

        Raises:
            ConfigError: no such model, or no timm. WeightsError: `weights` are neither here nor published.
        """
        bare = name.removeprefix(self.prefix)
        self.needed(self.prefix + bare)
        # timm itself would take `hf-hub:` and `local-dir:` here, and fetch or read what they name.
        if bare not in self.names():
            raise ConfigError(f"there is no backbone {bare!r} in timm: {did_you_mean(bare, self.names())}")
        found = self.found(weights, bare, lambda: _fetched(bare, weights))
        return _timm_model.TimmModel(bare).blueprint(arguments, size, **found)

    def is_safe_from_file(self, name: str) -> bool:
        """A listed architecture; no `hf-hub:` or `local-dir:` behind the prefix."""
        return name.removeprefix(self.prefix) in self.names()

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether the weights of a tag are in the cache of the hub, at a commit, or of torch where they lie at an address."""
        bare = name.removeprefix(self.prefix)
        if not is_pretrained(weights) or bare not in self.names():
            return False
        repo, names, url = _published(bare)
        revision = weights.partition("@")[2]
        return _hub.is_cached(repo, names, revision) if repo and revision else bool(url) and _url.is_cached(url)

    def offers(self, word: str) -> Iterator[Offer]:
        """Each tag of each architecture; an architecture without one by itself."""
        timm, part = timm_library(), word.removeprefix(self.prefix).lower()
        if timm is None:
            return
        tagged = timm.list_models(pretrained=True)
        untagged = set(timm.list_models()) - {name.partition(".")[0] for name in tagged}
        for name in sorted((*tagged, *untagged)):
            if part in name.lower():
                repo, names, url = _published(name)
                here = _hub.is_cached(repo, names) if repo else bool(url) and _url.is_cached(url)
                config = timm.get_pretrained_cfg(name)
                size = None if config is None else config.input_size[1:]
                yield Offer(name, "pretrained" if repo or url else "none", repo or url, size, here)


def _published(name: str) -> tuple[str, Sequence[str], str]:
    """Repository and names of files on the hub, or the address of weights that are not there; empty where there is none."""
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(name)
    if config is None:
        return "", (), ""
    if not config.hf_hub_id:
        return "", (), config.url or ""
    names = [config.hf_hub_filename] if config.hf_hub_filename else _timm_model.WEIGHTS
    return config.hf_hub_id, names, ""


def _fetched(name: str, weights: str) -> dict[str, Any]:
    """File and origin of published weights. Raises `WeightsError` where there are none, or as a download."""
    repo, names, url = _published(name)
    _, at, revision = weights.partition("@")
    if repo:
        found = _hub.fetch(repo, names, revision or None)
        return {"file": found.path, "origin": found.origin}
    if not url:
        raise WeightsError(
            f"timm publishes no weights of {name}: give a file, or the name of another model (udta backbones)"
        )
    if at:
        raise WeightsError(
            f"weights {weights!r}: those of {name} lie at {url}, which has no revisions: give `pretrained`"
        )
    return {"file": _url.fetch(url), "origin": {"id": f"timm/{name}", "revision": url}, "weights": "pretrained"}
