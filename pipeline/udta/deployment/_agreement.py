"""Whether a program says what its backbone and adapters say, on images, before anybody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from udta.adapters import Adapter
from udta.backbones import TapForward
from udta.deployment._program import told
from udta.errors import AdapterError
from udta.prediction import Predictor

Answers = Mapping[str, Float[np.ndarray, "images classes"]]
# Between two runtimes in float32, of a probability, or of a number in standard deviations of its target. Measured on MobileNetV2
# and DeiT-tiny: 1e-6, 3e-5 of `knn`, whose votes divide by small distances.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Difference:
    """Of one output on all images: the largest difference, and on what share the best class is the same, or another as likely."""

    largest: float
    same_top1: float


@dataclass(frozen=True)
class CheckReport:
    """What a program was compared with on how many images from where.

    `eager` is against the same in float32 by PyTorch, which it has to be equal to; `predict` against `udta predict`, in the
    arithmetic `compute` that the features of the training had, which differs as that arithmetic does. Both by output.
    """

    images: int
    where: str
    compute: str
    eager: Mapping[str, Difference]
    predict: Mapping[str, Difference]

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {**asdict(self), "tolerance": TOLERANCE}


def eager_answers(
    predictor: Predictor, outputs: Mapping[str, str], pixels: UInt8[np.ndarray, "images height width channels"]
) -> dict[str, Float[np.ndarray, "images classes"]]:
    """By output, what extraction's own pass gives in float32, and the adapters say of it: nothing of the program is in here."""
    found = {}
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    for output, path in outputs.items():
        header, adapter = predictor.headers[path], predictor.adapters[path]
        taps = [replace(tap, dtype="float32") for tap in header.taps]
        forward = TapForward(predictor.backbone, taps, "float32", predictor.device, memory_format="contiguous")
        with torch.inference_mode():
            found[output] = told(adapter, adapter(forward(images))).numpy()
    return found


def check(
    run: Callable[[UInt8[np.ndarray, "images height width channels"]], Answers],
    predictor: Predictor,
    outputs: Mapping[str, str],
    images: Any,
    where: str,
) -> CheckReport:
    """Run the program, one image alone and then all others, and compare.

    Args:
        run: the program, as it lies in its file.
        predictor: what it was made of.
        outputs: for each of its outputs the path of the adapter.
        images: that a predictor takes.
        where: they are from.

    Raises:
        AdapterError: an answer differs from that of PyTorch in float32 by more than `TOLERANCE`, or another class is the best.
    """
    pixels = predictor.pixels(images)[:, 0]
    eager, said = eager_answers(predictor, outputs, pixels), predictor(images)
    parts = [run(part) for part in (pixels[:1], pixels[1:]) if len(part)]
    found = {output: np.concatenate([part[output] for part in parts]) for output in outputs}
    scales = {output: _scale(predictor.adapters[path]) for output, path in outputs.items()}
    differences = {name: _difference(found[name], eager[name], scales[name]) for name in outputs}
    wrong = [
        f"  {name}: differs by {each.largest:.2g}, the best class is the same on {each.same_top1:.1%}"
        for name, each in differences.items()
        if not (each.largest <= TOLERANCE and each.same_top1 == 1)  # so that NaN is wrong too
    ]
    if wrong:
        head = (
            f"the program says something else than PyTorch on {len(pixels)} image(s) ({where}), so it is not written:"
        )
        raise AdapterError("\n".join([head, *wrong]))
    header = next(iter(predictor.headers.values()))
    predicted = {name: _difference(found[name], said[path].values, scales[name]) for name, path in outputs.items()}
    return CheckReport(len(pixels), where, header.fingerprint.text("compute"), differences, predicted)


def _scale(adapter: Adapter) -> Float[np.ndarray, " classes"]:
    """What differences are told in: probabilities as they are, numbers in the standard deviations of their targets."""
    return adapter.target_scale.cpu().numpy() if adapter.task.in_units else np.ones(adapter.n_classes, np.float32)


def _difference(
    found: Float[np.ndarray, "images classes"],
    expected: Float[np.ndarray, "images classes"],
    scale: Float[np.ndarray, " classes"],
) -> Difference:
    best = np.take_along_axis(expected, found.argmax(axis=1)[:, None], axis=1)[:, 0]
    # Two classes within the tolerance of each other may change places.
    same = expected.max(axis=1) - best <= 2 * TOLERANCE
    return Difference(float((np.abs(found - expected) / scale).max()), float(same.mean()))
