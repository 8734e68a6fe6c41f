"""Pixels to views: view 0 is the evaluation transform, the others are seeded augmentations.

A transform is a short string, `resize(256)|centre_crop(224)`: readable, loggable, and part of a store's fingerprint.

View v of a sample depends on (seed, content hash, v) alone: never on its row, on the worker that makes it, or on which other
views are made. So an extraction that is resumed, distributed or extended gives the bits of one that was not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from udta.errors import ConfigError, Problems, did_you_mean
from udta.images._pixel_spec import RGB, Picture, PixelSpec, Window
from udta.images.ops import Op, Size
from udta.images.ops.parse import parse_ops

# `nvjpeg` decodes plain JPEGs on a GPU and makes their views there; everything else is left to Pillow.
Decoder = Literal["pillow", "nvjpeg"]
DECODERS: tuple[Decoder, ...] = get_args(Decoder)

# Making a generator takes 0.1 ms of Python, which threads that decode for a GPU take turns in.
_UNUSED = np.random.default_rng(0)


@dataclass(frozen=True)
class Transform:
    """A chain of operations. `str` gives its one canonical spelling, which `parse` reads back as an equal value."""

    ops: tuple[Op, ...]

    @classmethod
    def parse(cls, text: str) -> Transform:
        """The transform that `text` describes: operations `name(argument,...,name=value)` joined by `|`.

        White space is ignored; the operations and their arguments are described in `udta.images.ops`.

        Raises:
            ConfigError: every operation or argument that is wrong, with what it should be.
        """
        return cls(parse_ops(text))

    def __str__(self) -> str:
        return "|".join(map(str, self.ops))

    @property
    def is_random(self) -> bool:
        """Whether any operation draws random numbers."""
        return any(op.is_random for op in self.ops)

    @property
    def size(self) -> Size | None:
        """(height, width) of every output, or None where it depends on the input."""
        size: Size | None = None  # of the input, which may be any
        for op in self.ops:
            size = op.output_size(size)
        return size

    @property
    def input_side(self) -> int | None:
        """How large the shorter side of an image should be at least, where the first operation resizes; else None."""
        # Only the first operation sees the picture as it was decoded; a crop of n x n pixels in front means these very pixels.
        return self.ops[0].input_side

    def apply(self, picture: Image.Image, rng: np.random.Generator) -> UInt8[np.ndarray, "height width channels"]:
        """The transformed image in RGB or grey, uint8; the result depends on the image and the state of `rng` alone.

        Raises:
            ImageError: an image so elongated that `resize` would make it too large to hold.
        """
        for op in self.ops:
            picture = op.apply(picture, rng)
        return np.array(picture).reshape(picture.height, picture.width, -1)


@dataclass(frozen=True)
class ViewSpec:
    """How many views there are and how each is made; view 0 by `evaluate`, views 1 to `count - 1` by `augment`.

    Raises:
        ConfigError: `count` under 1, a random `evaluate`, sizes of the two transforms that are not fixed and equal, an unknown
            `decoder`; operations on colours, or the decoder `nvjpeg`, for other than three channels.
    """

    count: int
    seed: int
    evaluate: Transform
    augment: Transform
    decoder: Decoder = "pillow"
    pixels: PixelSpec = RGB

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> ViewSpec:
        """The views that a fingerprint's fields describe. Raises `ConfigError` where they do not."""
        try:
            given, views = fields["input"], fields["views"]
            evaluate, augment = Transform.parse(given["evaluate"]), Transform.parse(views["augment"])
            # `pillow` and `auto` are left out of fingerprints: those of before there was anything else are still the same.
            pixels = PixelSpec(len(given["mean"]), Window.parse(given.get("window", "auto")))
            return cls(views["count"], views["seed"], evaluate, augment, given.get("decoder", "pillow"), pixels)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"the fingerprint does not say how its views were made ({error})") from error

    def __post_init__(self) -> None:
        # Here and not where the options are read: a fingerprint out of a store is taken no more on trust than a command line.
        problems = Problems()
        if self.count < 1:
            problems.add(f"the number of views is {self.count}, but view 0 is always there: give 1 or more")
        if self.evaluate.is_random:
            problems.add(f"view 0 must be deterministic, but {str(self.evaluate)!r} draws random numbers")
        transforms = {"evaluate": self.evaluate, "augment": self.augment}
        for name, transform in transforms.items():
            if transform.size is None:
                problems.add(
                    f"the {name} transform {str(transform)!r} gives images of no fixed size: end it with a crop, "
                    "such as centre_crop(224), or give resize a height and a width"
                )
        if all(transform.size for transform in transforms.values()) and self.evaluate.size != self.augment.size:
            problems.add(
                f"the views differ in size: evaluate {str(self.evaluate)!r} gives {self.evaluate.size}, "
                f"augment {str(self.augment)!r} gives {self.augment.size} (height, width)"
            )
        if self.decoder not in DECODERS:
            problems.add(f"decoder is {self.decoder!r}: {did_you_mean(self.decoder, DECODERS)}")
        problems.found += self._wrong_with_channels()
        problems.raise_any()

    @property
    def size(self) -> Size:
        """(height, width) of every view."""
        size = self.evaluate.size
        assert size is not None  # refused when it was made
        return size

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every view."""
        return *self.size, self.pixels.channels

    def transform(self, v: int) -> Transform:
        """What makes view `v`."""
        return self.evaluate if v == 0 else self.augment

    def rng(self, sha256: str, v: int) -> np.random.Generator:
        """The random numbers that view `v` of the image whose file has this SHA-256 is made with."""
        return view_rng(self.seed, sha256, v) if self.transform(v).is_random else _UNUSED

    def view(self, image: Picture, sha256: str, v: int) -> UInt8[np.ndarray, "height width channels"]:
        """View `v` of the image whose file, or whose pixels where there is none, have this SHA-256.

        At which size it is decoded depends on this view's transform alone: view 0 has the same bits beside any other views.

        Raises:
            ConfigError: there is no view `v`.
            ImageError: the image cannot be decoded, has other channels, or is so elongated that `resize` would make it too large
                to hold.
        """
        if not 0 <= v < self.count:
            raise ConfigError(f"view {v} was asked for, but there are views 0 to {self.count - 1}")
        # The picture of one reduction is kept in `image`: views of one transform decode a file once.
        transform = self.transform(v)
        # The same random numbers for each band, which makes the same cut of each.
        made = [transform.apply(band, self.rng(sha256, v)) for band in image.bands(transform.input_side, self.pixels)]
        return made[0] if len(made) == 1 else np.concatenate(made, axis=2)

    def make(
        self, image: Picture, sha256: str, which: Sequence[int]
    ) -> UInt8[np.ndarray, "views height width channels"]:
        """The views `which` of one image, in this order. Raises what `view` raises for the first of them that fails."""
        return np.stack([self.view(image, sha256, v) for v in which])

    def to_json(self) -> dict[str, int | str]:
        """The field `views` of a fingerprint; `evaluate` stands in the field `input`, since the backbone decides it."""
        return {"count": self.count, "seed": self.seed, "augment": str(self.augment)}

    def _wrong_with_channels(self) -> list[str]:
        channels = self.pixels.channels
        if channels == 3:
            return []
        colourful = dict.fromkeys(
            op for transform in (self.evaluate, self.augment) for op in transform.ops if op.is_colour
        )
        found = [f"{op} is of colours, but the backbone takes {_channels(channels)}: leave it out" for op in colourful]
        if self.decoder == "nvjpeg":
            found.append(
                f"decoder nvjpeg gives three channels, but the backbone takes {_channels(channels)}: use pillow"
            )
        return found


def _channels(count: int) -> str:
    return "one channel" if count == 1 else f"{count} channels"


def view_rng(seed: int, sha256: str, v: int) -> np.random.Generator:
    """The random numbers of one view: Philox keyed by the first 128 bits of SHA-256("seed:sha256:v"), little endian.

    Philox is counter-based (Salmon et al. 2011): neighbouring seeds or views give unrelated streams.
    """
    # By the content's hash and not by its row: to add, remove or move images changes no view of the others.
    digest = hashlib.sha256(f"{seed}:{sha256}:{v}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
