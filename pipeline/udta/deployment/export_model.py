"""`udta.export_model`: backbone and adapters as one program, checked before it is called done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from udta._console.progress import Progress, announce, watched
from udta._console.terminal import one_line
from udta._files.atomic import write_bytes
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta.backbones import Backbone
from udta.deployment._agreement import CheckReport, check
from udta.deployment._description import description
from udta.deployment._photographs import photographs
from udta.deployment._program import Program
from udta.deployment._runtimes import FORMATS
from udta.errors import ConfigError, did_you_mean
from udta.prediction import Predictor


@dataclass(frozen=True)
class ExportModelReport:
    """`out` has `bytes` and gives `outputs`, by name the adapter; `description` is what the file says of itself."""

    out: str
    bytes: int
    outputs: Mapping[str, str]
    check: CheckReport
    description: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Every figure, and the description."""
        return {
            "out": self.out,
            "bytes": self.bytes,
            "outputs": dict(self.outputs),
            "check": self.check.to_json(),
            "description": dict(self.description),
        }

    def __str__(self) -> str:
        found = self.check
        lines = [
            f"{self.out}: {self.bytes / 1e6:.1f} MB, {len(self.outputs)} output(s), checked on {found.images} image(s)"
            f" ({one_line(found.where)})"
        ]
        for name, each in found.eager.items():
            predict = found.predict[name]
            lines.append(
                f"{one_line(name)}: within {each.largest:.2g} of PyTorch in float32, same top-1 on {each.same_top1:.0%}; within"
                f" {predict.largest:.2g} of udta predict in {found.compute}, same top-1 on {predict.same_top1:.0%}"
            )
        return "\n".join(lines)


@one_writer_of("out")
@watched("steps")
def export_model(
    runs: str | Path | Sequence[str | Path],
    *,
    to: str,
    out: str | Path,
    images: str | Path | None = None,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> ExportModelReport:
    """Write a backbone and adapters as one program that runs without udta, after it was compared with PyTorch on photographs.

    It takes uint8 `[batch, height, width, channels]` after the evaluation transform, any number of images at a time, and gives
    probabilities, or numbers in their units, for each adapter: float32 `[batch, classes]`. All of it is in float32, whatever
    arithmetic features were extracted in. What the file says of itself (transform, classes, fingerprints, the check) is JSON: the
    metadata `udta` of an ONNX file, the extra file `udta` of a `.pt2`.

    Args:
        runs: a run folder or adapter file, or several of one backbone; an output has the name of its folder.
        to: `onnx`, for onnxruntime and others, or `torch`, for `torch.export.load`.
        out: a `.onnx` or `.pt2`.
        images: a folder of photographs to check it on; by default those of the training, or made-up ones where these are gone.
        backbone: where to find the backbone, or itself; by default as it was named when the features were extracted.
        weights: where its weights are; by default where they were at extraction.
        progress: whether a bar is shown, or what is called instead.

    Returns:
        The outputs, and how far the program was from PyTorch on each photograph.

    Raises:
        AdapterError: an adapter file that cannot be used, or a program that says something else: then nothing is written.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or no program can be made of it.
        ConfigError: no adapter, an unknown format, another ending of `out`, something not installed, too large for the format.
        DataError: `images` has none.

    Example:
        >>> udta.export_model("runs/photos-udta", to="onnx", out="photos.onnx").out  # doctest: +SKIP
        'photos.onnx'
    """
    if to not in FORMATS:
        raise ConfigError(f"to is {to!r}: {did_you_mean(to, FORMATS)}")
    target, format_of_it = local_path("out", out), FORMATS[to]
    if target.suffix.lower() != format_of_it.suffix:
        raise ConfigError(f"out is {str(target)!r}, but a program for {to} ends in {format_of_it.suffix}")
    format_of_it.check_installed()
    # On the CPU, as the program is checked there.
    predictor = Predictor(runs, backbone=backbone, weights=weights, device="cpu")
    outputs = _names(list(predictor.adapters))
    program = Program(
        predictor.backbone,
        {name: predictor.adapters[path] for name, path in outputs.items()},
        {name: predictor.headers[path] for name, path in outputs.items()},
    ).eval()
    tried, where = photographs(images, predictor.headers, predictor.view_spec.pixels.channels)
    announce("steps", 0, 2, "tracing")
    made = format_of_it(program, predictor.view_spec.shape)
    unchecked = made.content({})
    announce("steps", 1, 2, f"checking on {len(tried)} images")
    report = check(partial(made.run, unchecked), predictor, outputs, tried, where)
    announce("steps", 2, 2)
    said = description(predictor, outputs, report)
    # Only now is there a file: one that says something else would be used.
    content = made.content(said)
    write_bytes(target, content)
    return ExportModelReport(str(target), len(content), outputs, report, said)


def _names(paths: Sequence[str]) -> dict[str, str]:
    """What each adapter's output is called, with its path: the folder, and as many of those above it as tell all apart."""
    parts = [Path(path).absolute().parts for path in paths]
    folders = [each[:-1] if each[-1].endswith(".safetensors") else each for each in parts]
    for depth in range(1, max(map(len, folders)) + 1):
        names = ["-".join(each[-depth:]) for each in folders]
        if len(set(names)) == len(names):
            break
    else:
        raise ConfigError("two adapters are of one folder, so their outputs cannot be told apart")
    return dict(zip(names, paths, strict=True))
