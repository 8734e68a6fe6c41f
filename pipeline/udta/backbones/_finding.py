"""What is installed, and what a name would load. Nothing is downloaded for it, and no network asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from udta.backbones.sources.registry import SOURCES
from udta.backbones.sources.source import Offer
from udta.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class SourceInfo:
    """A source of backbones: how its names are written, the package it needs, which version is here, else how to install it.

    `library` is empty where none is needed, `version` and `install` where they say nothing.
    """

    source: str
    spelling: str
    library: str
    version: str
    install: str


def list_sources() -> list[SourceInfo]:
    """All of them, in the order in which a name is looked up. No library is imported."""
    found = []
    for source in SOURCES.values():
        installed = _version(source.library)
        install = source.missing() if source.library and not installed else ""
        found.append(SourceInfo(source.name, source.spelling, source.library, installed, install))
    return found


def find_backbones(word: str) -> list[Offer]:
    """What every name that contains `word` would load, by source.

    Args:
        word: a part of a name, small or capital; with the prefix of a source, one of that source alone. A place on a hub, such
            as `hf:facebook/dinov2-small`, is itself what is found.

    Raises:
        ConfigError: no name contains it.
    """
    sources = [each for each in SOURCES.values() if each.prefix and word.startswith(each.prefix)] or SOURCES.values()
    found = [offer for source in sources for offer in source.offers(word)]
    if not found:
        names = {offer.backbone for source in sources for offer in source.offers("")}
        # Also parts of names: `dinvo2` is near to `dinov2`, and to no whole name.
        parts = {part for name in names for part in re.split(r"[^a-z0-9]+", name.lower()) if len(part) > 1}
        raise ConfigError(f"no name of a backbone contains {word!r}: {did_you_mean(word, sorted(names | parts))}")
    return found


def _version(library: str) -> str:
    """Of an installed package, which is not imported; empty where it is not installed."""
    try:
        return version(library) if library else ""
    except PackageNotFoundError:
        return ""
