"""The one list of what an extraction can be told.

The command line, `params.yaml`, `plan`, the job with its worker processes, and the Python call take names, kinds, defaults,
choices and help texts from these fields, so that a new option is one field. (`extract` spells its arguments out for readers and
editors; a test compares them.)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from udta._files.validation import (
    LocalPath,
    Mark,
    OneOf,
    Options,
    at_least,
    byte_count,
    one_of,
    told_by_pydantic,
    wrong,
)
from udta.errors import did_you_mean

# Batches decoded ahead: two keep the backbone busy, four absorb a slow file; each holds 24 MB at five views of 224 px.
PREFETCH = 4

# `IfStale` of the store, `OnError` and `Decoder` of the images, none of which is imported here: `params.yaml` is read by stages
# that need neither torch nor Pillow. mypy sees whether the two of each agree.
_IfStale = Literal["refuse", "replace"]
_OnError = Literal["fail", "skip"]
_Decoder = Literal["pillow", "nvjpeg"]


# The registries are imported by whoever asks for a choice: they load torch, which takes two seconds.
def _engines() -> Iterable[str]:
    from udta.store import ENGINES

    return ENGINES


def _storage_types() -> Iterable[str]:
    from udta.store import STORAGE_TYPES

    return STORAGE_TYPES


def _codecs(engine: str | None = None) -> Iterable[str]:
    """Of one engine, or of any."""
    from udta.store import ENGINES, codecs_of

    return codecs_of(ENGINES if engine is None else [engine])


class StoreOptions(Options):
    """What a store is made of: an entry of `backbones` in `params.yaml`, where the stage decides where the store lies."""

    backbone: Annotated[str, Mark.REPEATED] = Field(
        description="A torchvision or timm name, or package.module:factory?key=value."
    )
    weights: Annotated[str | None, Mark.REPEATED] = Field(
        None,
        description="A file, pretrained[@REV], a torchvision weight enum, or none; by default pretrained of a hub, else none.",
    )
    taps: Annotated[str | None, Mark.REPEATED] = Field(
        None,
        description="Modules to keep, each with an optional reducer: none, grid(n), avg, cls, tokens; without it the recommended "
        "ones, or those that the store has.",
    )
    # After `taps`: pydantic checks fields in their order, and one excludes the other. No `REPEATED`: the stores of one command
    # have as many bytes each, and in Python each may have its own.
    budget: Annotated[int | None, Mark.OF_A_STORE, byte_count()] = Field(
        None, description="Bytes of a view of an image that recommended taps may take, such as 300kB; for each store."
    )
    views: Annotated[
        int, Mark.OF_A_STORE, at_least(1, "view 0, the evaluation transform, is always stored: give 1 or more")
    ] = Field(1, description="View 0 is the evaluation transform, the others are augmented.")
    # Before `codec`: pydantic checks fields in their order, and a codec is one of its engine.
    format: Annotated[str | None, Mark.OF_A_STORE, one_of(_engines)] = Field(
        None, description="Store engine; zarr for a new store, else the one that is there."
    )
    dtype: Annotated[str, Mark.OF_A_STORE, one_of(_storage_types)] = Field(
        "float16", description="How features are stored; uint8 has a scale and offset per channel."
    )
    # Of any engine, for the help; `_codec_of_the_engine` knows which one it is.
    codec: Annotated[str, Mark.OF_A_STORE, one_of(_codecs)] = Field(
        "none", description="Lossless compression: smaller by a little, slower to read by a lot."
    )
    compute: Annotated[str, Mark.REPEATED] = Field(
        "auto",
        description="Arithmetic of the backbone: auto, float32, bfloat16, float16; with +compile, by compiled code.",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    on_error: Annotated[_OnError, one_of(lambda: get_args(_OnError))] = Field(
        "fail", description="An image that cannot be used: stop, or leave it out and record why."
    )
    seed: int = Field(0, description="Of the augmented views and the split.")
    prune: bool = Field(
        False, description="Remove the rows of images that are gone; refused without, as a disk may be missing."
    )
    retry_skipped: bool = Field(
        False, description="Try images again that an earlier run skipped, as --on-error fail does."
    )
    transform: Annotated[str | None, Mark.REPEATED] = Field(
        None, description="Replaces the backbone's evaluation transform, such as 'resize(256)|centre_crop(224)'."
    )
    augment: Annotated[str | None, Mark.OF_A_STORE] = Field(
        None, description="The transform of the other views, such as 'random_resized_crop(224,scale=0.35..1)|flip'."
    )
    window: Annotated[str, Mark.OF_A_STORE] = Field(
        "auto",
        description="Black and white where images have more than 8 bits: LOW:HIGH, such as -160:240 for CT; minmax, of each "
        "image; auto, what the file says.",
    )
    allow_impure: Annotated[bool, Mark.OF_A_STORE] = Field(
        False,
        description="Extract a backbone that is no function of one image, such as one that draws random numbers.",
    )

    @field_validator("budget")
    @classmethod
    def _of_recommended_taps(cls, budget: int | None, info: ValidationInfo) -> int | None:
        if budget is not None and info.data.get("taps") is not None:
            raise wrong("is for taps that are recommended, but taps are given: leave out one of the two")
        return budget

    @field_validator("codec")
    @classmethod
    def _codec_of_the_engine(cls, codec: str, info: ValidationInfo) -> str:
        # The engine of a new store; that of one which is there is looked at when it is opened. A wrong one is told of already.
        engine = info.data.get("format") or "zarr"
        if codec not in (valid := list(_codecs(engine))):
            raise wrong(f"for {engine} is {codec!r}: {did_you_mean(codec, valid)}")
        return codec

    @field_validator("compute")
    @classmethod
    def _an_arithmetic(cls, compute: str) -> str:
        # No choice of the command line, whose help would spell out all eight.
        from udta.backbones.arithmetic import computes

        OneOf(computes)(compute)
        return compute


class ExtractOptions(StoreOptions):
    """Everything that an extraction is told but its images: a store, where it lies, and how the machine works on it."""

    # Python takes a `Backbone` that is built, too. Its class is not named: it imports torch.
    backbone: Any = StoreOptions.model_fields["backbone"]
    # The one that is never given once for all: two stores cannot lie in one place.
    out: Annotated[LocalPath, Mark.REPEATED] = Field(description="The store; an unfinished one is continued.")
    if_stale: Annotated[_IfStale, Mark.OF_A_STORE, Mark.PYTHON_ONLY, one_of(lambda: get_args(_IfStale))] = Field(
        "refuse", description="A store that was made from something else: refuse it, or replace it."
    )
    splits: Path | None = Field(
        None, description="CSV path,split; without it the split that IMAGES has, else a seeded stratified 70/30 one."
    )
    decoder: Annotated[_Decoder, Mark.OF_A_STORE, one_of(lambda: get_args(_Decoder))] = Field(
        "pillow",
        description="nvjpeg decodes plain JPEGs and makes their views on the GPU; its pixels differ a little from Pillow's.",
    )
    workers: Annotated[int | None, at_least(1, "at least one process has to work")] = Field(
        None, description="Processes; one by default, or one for each GPU."
    )
    prefetch: Annotated[int, at_least(1, "at least one batch has to be decoded before it can be computed")] = Field(
        PREFETCH, description="Batches decoded ahead of the backbone."
    )

    # What only the machine that extracts can tell, or costs an import of torch: `params.yaml` is read without it.
    @field_validator("taps")
    @classmethod
    def _parsed(cls, taps: str | None) -> str | None:
        from udta.backbones import parse_taps

        with told_by_pydantic():
            parse_taps(taps) if taps is not None else None
        return taps

    @field_validator("device")
    @classmethod
    def _there_is_one(cls, device: str) -> str:
        from udta.backbones import resolve_device

        with told_by_pydantic():
            resolve_device(device)
        return device

    @field_validator("transform", "augment")
    @classmethod
    def _a_transform(cls, text: str | None) -> str | None:
        from udta.images import Transform

        with told_by_pydantic():
            Transform.parse(text) if text else None
        return text

    @field_validator("window")
    @classmethod
    def _a_window(cls, text: str) -> str:
        from udta.images import Window

        with told_by_pydantic():
            return str(Window.parse(text))

    @field_validator("transform")
    @classmethod
    def _of_a_backbone_that_is_built_here(cls, transform: str | None, info: ValidationInfo) -> str | None:
        if transform and not isinstance(info.data.get("backbone", ""), str):
            raise wrong("belongs to building a backbone, but this one is built already: set it there")
        return transform

    @field_validator("decoder")
    @classmethod
    def _on_a_gpu(cls, decoder: _Decoder, info: ValidationInfo) -> _Decoder:
        from udta.backbones import resolve_device

        # A field that is wrong is missing in `info.data`, and was told of.
        if decoder == "nvjpeg" and "device" in info.data and resolve_device(info.data["device"]).type != "cuda":
            raise wrong("is 'nvjpeg', which decodes on a CUDA device, and there is none: use pillow")
        return decoder

    @property
    def retries(self) -> bool:
        """Whether images that an earlier run skipped are tried again: none may be missing where none may be skipped."""
        return self.retry_skipped or self.on_error == "fail"
