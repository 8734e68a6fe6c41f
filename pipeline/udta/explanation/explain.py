"""`udta.explain`: one image, one adapter, and where on the image what it says comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from udta._console.terminal import one_line
from udta._files.atomic import new_file
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta.adapters import AdapterHeader
from udta.backbones import Backbone, TapForward
from udta.errors import ConfigError, did_you_mean
from udta.explanation._contributions import Contributions, contributions, summed
from udta.explanation._overlay import density, overlay
from udta.explanation._picture import draw, need_matplotlib
from udta.explanation._positions import input_size
from udta.prediction import Prediction, Predictor


@dataclass(frozen=True, eq=False)
class Explanation:
    """What an adapter says of one class of an image, and what each position adds to it.

    Attributes:
        image: as it was given.
        class_name: the class, label or target that is explained.
        predicted: the likeliest class or label; None of numbers.
        probability, predicted_probability: of the two; None of numbers.
        contributions: whose sum is the answer: a logit, or a number in its units.
        view: what the backbone saw; contributions lie on it.
        out: where the picture is, if anywhere.
    """

    image: str
    class_name: str
    predicted: str | None
    probability: float | None
    predicted_probability: float | None
    contributions: Contributions
    view: Image.Image
    out: str | None = None

    @property
    def overlay(self) -> Image.Image:
        """The view with its contributions, as `udta.explanation.overlay` paints them."""
        return overlay(self.view, self.contributions)

    def to_json(self) -> dict[str, Any]:
        """Every figure, and the picture in words."""
        return {
            "out": self.out,
            "image": self.image,
            "class": self.class_name,
            "probability": self.probability,
            "predicted": self.predicted,
            "predicted_probability": self.predicted_probability,
            **self.contributions.to_json(),
            "text": str(self),
        }

    def __str__(self) -> str:
        found = self.contributions
        what = f"{one_line(self.class_name)} {found.answer:.4g}"
        if self.probability is not None:
            what = f"{one_line(self.class_name)}: logit {found.answer:.4g}, probability {self.probability:.1%}"
        if self.predicted is not None and self.predicted != self.class_name:
            what += f" (predicted {one_line(self.predicted)}, {self.predicted_probability:.1%})"
        parts = {tap: float(each.sum()) for tap, each in found.maps.items()}
        beside = {f"{one_line(tap)} beside the picture": value for tap, value in found.elsewhere.items()}
        shown = [f"{one_line(tap)} {value:+.4g}" for tap, value in {**parts, **beside}.items()]
        return f"{what} = {found.constant:.4g} of an average image, {', '.join(shown)}; {_where(found)}"


@one_writer_of("out")
def explain(
    run: str | Path,
    image: Any,
    *,
    class_name: str | None = None,
    out: str | Path | None = None,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> Explanation:
    """Where on an image what an adapter says of a class comes from: exact contributions, over the image as the backbone saw it.

    Of adapters whose answer is a sum over positions: `udta`, `linear`, `concat_linear`, `head2toe`. The derivation is in
    `udta.explanation._contributions` and in docs/explanation.md. A tap that is stored as an average has positions here, since the
    backbone is at hand.

    Args:
        run: a run folder or an adapter file.
        image: a path, an image of Pillow, or an array uint8 `[height, width, channels]`.
        class_name: the class, label or target; the likeliest by default, or the first target.
        out: a `.png` to write: the view, its contributions, a scale, and the figures as its description.
        backbone: where to find the backbone, or itself; by default as it was named when the features were extracted.
        weights: where its weights are; by default where they were at extraction.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Returns:
        The class, its probability, and by tap what each position adds to its score.

    Raises:
        AdapterError: an adapter file that cannot be used, or one whose answers are no sum over positions.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or its weights are gone or others.
        ConfigError: there is no such class, `out` is no `.png`, matplotlib is missing, or nobody says where the backbone is.
        ImageError, FeatureError: the image cannot be read, or has features or scores that are not finite.

    Example:
        >>> sorted(udta.explain("runs/photos-udta", "photos/cat/000.png").contributions.maps)
        ['layer3', 'layer4']
    """
    target = None if out is None else local_path("out", out)
    if target is not None:
        if target.suffix.lower() != ".png":
            raise ConfigError(f"out is {str(target)!r}, but the picture is a .png")
        need_matplotlib()  # before the work, not after it
    predictor = Predictor(run, backbone=backbone, weights=weights, device=device)
    [(path, adapter)], [header] = predictor.adapters.items(), predictor.headers.values()
    summed(adapter)
    if class_name is not None and class_name not in header.classes:
        raise ConfigError(f"adapter {path} knows no {class_name!r}: {did_you_mean(class_name, header.classes)}")
    said = predictor(image)[path]
    features = {tap: values[0, 0] for tap, values in predictor.features(image, path).items()}
    pixels = predictor.pixels(image)[0, 0]
    features |= _maps_of_averages(predictor, header, pixels)
    index = header.classes.index(class_name) if class_name is not None else _likeliest(said)
    found = Explanation(
        _name_of(image),
        header.classes[index],
        *_probabilities(said, index),
        contributions(adapter, header, features, index),
        _as_photograph(pixels),
        None if target is None else str(target),
    )
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with new_file(target) as file:
            draw(file, found.view, found.contributions, one_line(found.class_name), _title(found), str(found))
    return found


def _maps_of_averages(
    predictor: Predictor, header: AdapterHeader, pixels: UInt8[np.ndarray, "height width channels"]
) -> dict[str, Float[Tensor, ...]]:
    """By tap that is stored as an average over positions, the map that the average is of."""
    height, width = input_size(header)
    # Patches of an oblong view could lie in more than one way, which the text of an average does not say.
    averages = [tap for tap in header.taps if tap.reducer.startswith("avg") and height == width]
    if not averages:
        return {}
    maps = [replace(tap, reducer=tap.reducer.replace("avg", "grid", 1), dtype="float32") for tap in averages]
    compute = header.fingerprint.text("compute").removesuffix("+compile")  # one image is not worth compiling for
    forward = TapForward(predictor.backbone, maps, compute, predictor.device, memory_format="contiguous")
    found = forward(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    # A network may give the average itself.
    return {tap: values[0] for tap, values in found.items() if values.ndim == 4}


def _likeliest(said: Prediction) -> int:
    return 0 if said.task == "regression" else int(said.values[0].argmax())


def _probabilities(said: Prediction, index: int) -> tuple[str | None, float | None, float | None]:
    """The likeliest class, the probability of the one that is explained, and its own."""
    if said.task == "regression":
        return None, None, None
    best = _likeliest(said)
    return said.classes[best], float(said.values[0, index]), float(said.values[0, best])


def _name_of(image: Any) -> str:
    return str(image) if isinstance(image, str | Path) else type(image).__name__


def _title(found: Explanation) -> str:
    if found.predicted is None:
        return f"{one_line(found.class_name)} {found.contributions.answer:.4g}"
    best = f"predicted {one_line(found.predicted)}, {found.predicted_probability:.1%}"
    if found.class_name == found.predicted:
        return best
    return f"{best}; {one_line(found.class_name)}, {found.probability:.1%}"


def _where(found: Contributions) -> str:
    """In which ninth of the view it speaks most for the class, and in which least, in words."""
    if not found.maps:
        return "no tap of this adapter has positions"
    ninths = density(found, 90, 90).reshape(3, 30, 3, 30).mean(axis=(1, 3)).flatten()
    names = [f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "centre", "right")]
    return f"most comes from the {names[ninths.argmax()]}, least from the {names[ninths.argmin()]}"


def _as_photograph(pixels: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    """Colours where there are three channels or more, else the first one in grey."""
    return Image.fromarray(pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]).convert("RGB")
