"""A source of backbones: what it tells of its names, and the blueprint that it draws of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from udta.backbones._backbone import InputSpec

# Keywords of torchvision's and timm's builders that fetch weights, or load them without looking at what is in the file.
WEIGHT_KEYWORDS = (
    "weights",
    "weights_backbone",
    "pretrained",
    "pretrained_backbone",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
)


@dataclass(frozen=True)
class Blueprint:
    """How the module that a name stands for is made.

    `name` is its one spelling; `defaults` are arguments of `factory` that the user may change; `input_of` reads from the module
    what it expects to see, without `evaluate` where no transform here gives that. `loads` says that the factory fills the module
    with the weights asked for, so that no file is read.
    """

    name: str
    factory: Callable[..., nn.Module]
    input_of: Callable[[nn.Module], InputSpec]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    loads: bool = False


class Source(ABC):
    """One place that backbones come from. A subclass lies in a file of its own and has a line in the registry.

    What a subclass does not say is answered by no: a new source builds nothing because of a data file until it says what is safe.
    Asking `prefix` imports nothing, so that a name of one source does not wait for the library of another.
    """

    name: ClassVar[str]
    # Written before a name to mean this source and no other.
    prefix: ClassVar[str] = ""
    # Keywords that are refused: `--weights` says which weights, and what is in a file is looked at before it is loaded.
    refused_keywords: ClassVar[Sequence[str]] = WEIGHT_KEYWORDS

    def names(self) -> Sequence[str]:
        """What it can list without a network: accepted as they are, and proposed for a name that is wrong."""
        return ()

    def accepts(self, name: str) -> bool:
        """Whether it has a model of this name, written without its prefix."""
        # No library has a colon in a name; this spares factories the import of all libraries.
        return ":" not in name and name in self.names()

    def missing(self) -> str:
        """What to type to install the library that it needs; empty where it is there."""
        return ""

    @abstractmethod
    def blueprint(self, name: str, weights: str = "none", arguments: Mapping[str, Any] | None = None) -> Blueprint:
        """Of a name that is its own, with or without its prefix.

        Args:
            name: as the user wrote it, without keyword arguments.
            weights: `none`, a file, or what else this source knows by a name.
            arguments: the keywords that the user gave; they are handed to the factory, here they only tell the input.

        Raises:
            ConfigError: no such model. WeightsError: `weights` is nothing that this source has or can read.
        """

    def is_safe_from_file(self, name: str) -> bool:
        """Whether a store or an adapter file, which anybody may have written, may have a model of this name built.

        Yes only where that runs code of the library alone, whatever the name says, and fetches nothing.
        """
        return False

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether weights of this name are on this machine already, where `blueprint` finds them without a network."""
        return False
