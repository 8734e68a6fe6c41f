"""The input that a model's own image processor makes, as a transform of udta."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from udta.backbones._backbone import InputSpec
from udta.backbones.sources._hf_trunk import quiet
from udta.errors import ConfigError
from udta.images import Transform
from udta.images.ops import FILTERS, CentreCrop, Op, Resize

# Either may hold the configuration of the processor; newer repositories of two towers have the second.
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
# From here on ConvNeXt's processor resizes to a square instead of cropping one (transformers, image_processing_convnext.py).
_CONVNEXT_SQUASHES_AT = 384
_LEVELS = 255
# Of 255, on average over a picture without edges: another crop or filter is more, rounding before instead of after is 0.3.
_SAME = 2.0


def input_of_processor(folder: Path, img_size: tuple[int, int] | None, said: str) -> InputSpec:
    """Size, crop, filter, mean and deviation of the processor in a folder, without `evaluate` where no transform here is that.

    Args:
        folder: where `PROCESSOR_FILES` are looked for.
        img_size: (height, width) instead of the size that comes out; of a crop, what is resized before it grows alike.
        said: names the model in messages.

    Raises:
        ConfigError: there is no processor, it cannot be read, or it does something to pixels that is no mean and deviation.
    """
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        raise ConfigError(
            f"{said} has no {PROCESSOR_FILES[0]}, which says what its images look like; save that of the model it came from "
            "beside it: AutoImageProcessor.from_pretrained(ID).save_pretrained(DIR)"
        )
    processor = _processor(folder, said)
    # The library computes (pixel * factor - mean) / std.
    factor = _LEVELS * (float(processor.rescale_factor) if processor.do_rescale else 1.0)
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
    spec = InputSpec("", _three(mean, factor), _three(std, factor))
    if not _agree(processor, spec, Image.new("RGB", (_LEVELS, _LEVELS), (200, 120, 40))):
        raise ConfigError(
            f"{said} has a {type(processor).__name__} that does more to pixels than take a mean away and divide by a deviation, "
            "such as another order of colours, which no transform here does"
        )
    own = _transform(processor, None)
    # An image a size is not what a store has rows for.
    if (
        own is None
        or Transform.parse(own).size is None
        or not _agree(processor, InputSpec(own, spec.mean, spec.std), _slope())
    ):
        return spec
    return InputSpec(_transform(processor, img_size) or "", spec.mean, spec.std)


def _processor(folder: Path, said: str) -> Any:
    from transformers import AutoImageProcessor

    try:
        # The one on Pillow images, since what is made here is made by Pillow as well, bit for bit; not every model has one.
        with quiet():
            return AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
    except Exception as error:  # of a file that anybody may have written
        raise ConfigError(f"{said} has a processor that transformers cannot make ({error})") from error


def _transform(processor: Any, img_size: tuple[int, int] | None) -> str | None:
    """The operations of its configuration, None for others than these; whether it does no more is seen on a picture."""
    size, crop = processor.size, processor.crop_size if getattr(processor, "do_center_crop", False) else None
    names = {value.value: name for name, value in FILTERS.items()}
    before = (size.height, size.width) if size.height and size.width else (size.shortest_edge,)
    if not processor.do_resize or processor.resample not in names or size.longest_edge or not before[0]:
        return None
    share = getattr(processor, "crop_pct", None) if size.shortest_edge else None
    # What is cut out is square here.
    sides = [pair for pair in (img_size, crop and (crop.height, crop.width)) if pair]
    if (crop or share) and any(height != width for height, width in sides):
        return None
    side = img_size[0] if img_size else crop.height if crop else before[0]
    if share:
        squashed = side >= _CONVNEXT_SQUASHES_AT
        before, cut = ((side, side), None) if squashed else ((int(side / share),), side)
    elif crop:
        before, cut = tuple(round(each * side / crop.height) for each in before), side
    else:
        before, cut = img_size or before, None
    ops: list[Op] = [Resize(*before, filter=names[processor.resample])]
    return str(Transform((*ops, CentreCrop(cut)) if cut else tuple(ops)))


def _agree(processor: Any, spec: InputSpec, picture: Image.Image) -> bool:
    """Whether a spec gives what the processor makes of a picture; without a transform, of its middle."""
    theirs = np.asarray(processor(picture, return_tensors="np")["pixel_values"][0], dtype=np.float64)
    pixels = Transform.parse(spec.evaluate).apply(picture, np.random.default_rng(0)) if spec.evaluate else picture
    ours = np.asarray(pixels, dtype=np.float64).transpose(2, 0, 1) / _LEVELS
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (spec.mean, spec.std))
    if not spec.evaluate:  # one colour: the size does not matter, nor does a border
        theirs, ours = (
            values[:, values.shape[1] // 2, values.shape[2] // 2][:, None, None] for values in (theirs, ours)
        )
    return theirs.shape == ours.shape and float(np.abs(theirs * std + mean - ours).mean()) * _LEVELS < _SAME


def _slope() -> Image.Image:
    """A picture without edges and not square, on which a pixel to the side is a small difference and another crop a large one."""
    rows, columns = np.linspace(0, 200, 300)[:, None], np.linspace(0, 55, 400)[None]
    grey = (rows + columns).astype(np.uint8)
    return Image.fromarray(np.stack([grey, _LEVELS - grey, grey // 2], axis=-1))


def _three(values: float | Sequence[float], factor: float) -> tuple[float, float, float]:
    red, green, blue = np.broadcast_to(np.asarray(values, dtype=np.float64), 3) / factor
    return float(red), float(green), float(blue)
