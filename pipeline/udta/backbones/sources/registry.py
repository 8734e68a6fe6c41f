"""The sources of backbones by name, in the order in which a name is looked up."""

from __future__ import annotations

from pkgutil import resolve_name

from udta.backbones.sources.source import Source

# Paths instead of imports, so that a source is one line here. torchvision comes before timm: both have 35 names,
# and a store that remembers `resnet50` means torchvision's; timm's are remembered with their prefix.
_CLASSES = (
    "torchvision:Torchvision",
    "timm:Timm",
    "hf_hub:HfHub",
    "local_dir:LocalDir",
    "hf:HuggingFace",
    "open_clip:OpenClip",
    "factory:Factory",
)

SOURCES: dict[str, Source] = {
    source.name: source for source in (resolve_name(f"{__package__}.{path}")() for path in _CLASSES)
}


def source_of(name: str) -> Source | None:
    """The source that a name means: the one whose prefix it has, else the first that accepts it; None where none does."""
    # Prefixes first: what has a colon and no prefix is a factory, whose module would be imported.
    for source in SOURCES.values():
        if source.prefix and name.startswith(source.prefix):
            return source
    return next((source for source in SOURCES.values() if source.accepts(name)), None)
