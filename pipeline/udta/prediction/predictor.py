"""`udta.Predictor`: a backbone and its adapters, kept in memory for images as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from udta._machine.cores import n_cores
from udta.adapters import Adapter, AdapterHeader
from udta.backbones import Backbone
from udta.errors import ConfigError, FeatureError, did_you_mean
from udta.images import GivenImage, ViewSpec, images_in
from udta.prediction._prediction import Prediction, answer, prediction_of
from udta.prediction._shared_pass import load_adapters, shared_pass
from udta.store import BATCH_ROWS


class Predictor:
    """Adapters beside their backbone, for images as a program has them; `udta.predict` is for folders and tables.

    Everything is loaded and checked once. Calling it any number of times, from any thread, costs a pass of the backbone and one
    of each adapter.

    ```python
    predictor = udta.Predictor("runs/photos")
    predictor("cat.jpg")["runs/photos"].top(3)  # [[("cat", 0.97), ("lynx", 0.02), ("dog", 0.01)]]
    ```

    Args:
        adapters: a run folder or adapter file, or several that were trained on the same backbone.
        backbone: where to find the backbone, or one that was built; by default as it was named when the features were extracted,
            where that is a model of torchvision or timm.
        weights: where its weights are; by default where they were at extraction.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        views: of each image how many are made and averaged: the evaluation transform, then seeded augmentations as in the store.

    Attributes:
        adapters: modules from features to logits, by the path that was given, on `device`.
        headers: what their files say of them, by the same paths.
        backbone: the frozen module, and the mean and deviation that its pixels are normalised with.
        view_spec: the transforms, and the size of what the backbone sees.
        device: where it is computed.

    Raises:
        AdapterError: an adapter file that cannot be used, or adapters that need different features, or views.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or its weights are gone or others.
        ConfigError: no adapter, nobody says where the backbone is, a wrong device, or no view.
    """

    def __init__(
        self,
        adapters: str | Path | Sequence[str | Path],
        *,
        backbone: str | Backbone | None = None,
        weights: str | None = None,
        device: str = "auto",
        views: int = 1,
    ) -> None:
        named = [adapters] if isinstance(adapters, str | Path) else list(adapters)
        self._shared = shared_pass(load_adapters(named), backbone=backbone, weights=weights, device=device, views=views)
        self._forward = self._shared.forward()
        self.adapters: Mapping[str, Adapter] = self._shared.adapters
        self.headers: Mapping[str, AdapterHeader] = self._shared.headers
        self.backbone: Backbone = self._shared.network
        self.view_spec: ViewSpec = self._shared.views
        self.device: torch.device = self._shared.device

    def __call__(self, images: Any) -> dict[str, Prediction]:
        """What each adapter says of each image, by the path of the adapter.

        Args:
            images: a path, an image of Pillow, an array uint8 `[height, width, channels]` (RGB) or `[height, width]`, an array
                of several `[images, height, width, channels]`, or any number of these one after another.

        Raises:
            ConfigError: no image, or something else.
            ImageError: an image that cannot be read or has other channels; an array of another type or shape.
            FeatureError: scores that are not finite.
        """
        given, names = images_in(images)
        found: dict[str, list[Tensor]] = {path: [] for path in self.adapters}
        done = 0
        for batch in self._batches(given, names):
            features = {tap: values.float() for tap, values in batch.items()}  # once for all adapters
            for path, adapter in self.adapters.items():
                answers = answer(adapter, self._shared.of_adapter(path, features), self.view_spec.count)
                if not (finite := torch.isfinite(answers).all(dim=1)).all():
                    bad = names[done + int(finite.logical_not().nonzero()[0])]
                    raise FeatureError(f"{bad}: adapter {path} gives NaN or infinite scores")
                found[path].append(answers)
            done += len(answers)
        return {
            path: prediction_of(adapter, self.headers[path].classes, torch.cat(found[path]))
            for path, adapter in self.adapters.items()
        }

    def pixels(self, images: Any) -> UInt8[np.ndarray, "images views height width channels"]:
        """What the backbone is shown of each image, before it is normalised. Arguments and errors are those of a call."""
        return np.stack(list(self._pixels(*images_in(images))))

    def features(self, images: Any, adapter: str | Path) -> dict[str, Float[Tensor, "images views ..."]]:
        """What an adapter reads of each image: its taps by name, on `device`, in the type that they are stored in.

        Args:
            images: as in a call.
            adapter: one of those given; several may call different taps the same.

        Raises:
            ConfigError, ImageError: as a call does.
        """
        path = str(adapter)
        if path not in self.adapters:
            raise ConfigError(f"adapter {path!r} is none of this predictor: {did_you_mean(path, self.adapters)}")
        parts = [self._shared.of_adapter(path, batch) for batch in self._batches(*images_in(images))]
        return {tap: torch.cat([part[tap] for part in parts]) for tap in parts[0]}

    def _batches(self, images: Sequence[Any], names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Features `[images, views, *tap.shape]` of some images after another, as many as an extraction computes at a time."""
        rows = self._pixels(images, names)
        while batch := list(islice(rows, BATCH_ROWS)):
            stacked = torch.from_numpy(np.stack(batch)).permute(1, 0, 4, 2, 3)
            # A pass has one view of each image in it, as in an extraction: more views leave the bits of view 0 as they are.
            of_views = [self._forward(view) for view in stacked]
            yield {tap: torch.stack([view[tap] for view in of_views], dim=1) for tap in of_views[0]}

    def _pixels(self, images: Sequence[Any], names: Iterable[str]) -> Iterator[np.ndarray]:
        """The views of one image after another, made in threads where there are several."""
        if len(images) == 1:
            yield from map(self._views, images, names)
            return
        with ThreadPoolExecutor(n_cores(), "udta-predictor") as pool:
            # A batch ahead and no more: of a thousand photographs not all lie decoded in memory.
            pairs = iter(zip(images, names, strict=True))
            while batch := list(islice(pairs, BATCH_ROWS)):
                yield from pool.map(lambda pair: self._views(*pair), batch)

    def _views(self, image: Any, name: str) -> UInt8[np.ndarray, "views height width channels"]:
        given, spec = GivenImage(image, name), self.view_spec
        # The hash is what random views are drawn by; view 0 draws nothing.
        sha256 = given.sha256 if spec.count > 1 else ""
        return spec.make(given.picture, sha256, range(spec.count))
