"""A source of backbones: what it tells of its names, and the blueprint that it draws of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

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

    `name` is its one spelling, which never says where weights lie; `defaults` are arguments of `factory` that the user may
    change, `arguments` such as are part of that spelling: a configuration beside the weights says them. `input_of` reads from the
    module what it expects to see, without `evaluate` where no transform here gives that.

    Weights are in `file`, where they were found by a name, else in the file that the user gave; `adapt` makes of its tensors
    those that the module has. `loads` says that the factory fills the module itself. `origin` is of weights that were found by a
    name: `id`, such as `ORG/NAME`, and `revision`, a commit or an address. `weights` is how a store finds these again where it is
    neither a file nor `pretrained@COMMIT`.
    """

    name: str
    factory: Callable[..., nn.Module]
    input_of: Callable[[nn.Module], InputSpec]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    adapt: Callable[[nn.Module, Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None
    loads: bool = False
    origin: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""


@dataclass(frozen=True)
class Offer:
    """A backbone as `--backbone` and `--weights` take it, and what that would load.

    `origin` is a repository of a hub or an address, empty where nothing is published; `size` (height, width) of its input, None
    where only a file that is still to be fetched says it; `here` whether its weights are on this machine.
    """

    backbone: str
    weights: str
    origin: str
    size: tuple[int, int] | None
    here: bool


class Source(ABC):
    """One place that backbones come from. A subclass lies in a file of its own and has a line in the registry.

    What a subclass does not say is answered by no: a new source builds nothing because of a data file until it says what is safe.
    Asking `prefix` imports nothing, so that a name of one source does not wait for the library of another.
    """

    name: ClassVar[str]
    # Written before a name to mean this source and no other.
    prefix: ClassVar[str] = ""
    # How its names are written, and the package that has to be installed for them, as `udta backbones` lists both.
    spelling: ClassVar[str] = ""
    library: ClassVar[str] = ""
    # Keywords that are refused: `--weights` says which weights, and what is in a file is looked at before it is loaded.
    refused_keywords: ClassVar[Sequence[str]] = WEIGHT_KEYWORDS
    # What `--weights` means where it is left out: `pretrained`, where a name means published weights more than an architecture.
    default_weights: ClassVar[str] = "none"

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
    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a name that is its own, with or without its prefix. What a name asks to be downloaded, is.

        Args:
            name: as the user wrote it, without keyword arguments.
            weights: `none`, a file, `pretrained[@REV]`, or what else this source knows by a name.
            arguments: the keywords that the user gave; they are handed to the factory, here they only tell the input.
            size: (height, width) of the images, where the user gave a transform; a model that is built for a size is built for
                this one.

        Raises:
            ConfigError: no such model. WeightsError: `weights` is nothing that this source has or can read.
        """

    def resolved(self, name: str) -> str:
        """The same name as it is found from any folder, for a store to remember."""
        return name

    def is_safe_from_file(self, name: str) -> bool:
        """Whether a store or an adapter file, which anybody may have written, may have a model of this name built.

        Yes only where that runs code of the library alone, whatever the name says, and fetches nothing.
        """
        return False

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether weights of this name are on this machine already, where `blueprint` finds them without a network."""
        return False

    def offers(self, word: str) -> Iterator[Offer]:
        """What each name that contains `word` would load, whatever its capitals; no network is asked.

        By default, of a source whose names cannot be listed: `word` itself, where it begins with the prefix.
        """
        bare = word.removeprefix(self.prefix)
        if self.prefix and bare and word != bare:
            yield Offer(word, self.default_weights, bare, None, self.has_weights(word, self.default_weights))


def is_pretrained(weights: str) -> bool:
    """Whether `--weights` asks for those that are published: `pretrained`, or `pretrained@REV`."""
    return weights.partition("@")[0] == "pretrained"
