"""`udta.load_adapter`: a trained adapter, for features that a program has, or rows of a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from udta._machine.device import resolve_device
from udta.adapters import Adapter, AdapterHeader
from udta.adapters import load_adapter as read_adapter
from udta.errors import AdapterError, ConfigError, FeatureError, did_you_mean
from udta.fingerprint import Fingerprint, TapSpec
from udta.prediction._prediction import Prediction, answer, prediction_of
from udta.scoring import view_logits
from udta.store import Store, as_tensor

_ROWS = 256  # at a time: a map of 14 x 14 x 1280 values in float32 is 1 MB a row


class TrainedAdapter:
    """An adapter as it was trained, for features of the backbone that it was trained with. `udta.load_adapter` gives one.

    Attributes:
        name: which adapter it is, such as `udta` or `linear`.
        task: `multiclass`, `multilabel` or `regression`.
        classes: names of its outputs: classes, labels or targets.
        taps: what it reads, by tap name: the shape of one view of an image, the reducer, the type it is stored in.
        metrics: those of the test split that it was trained beside; empty where there was none.
        fingerprint: what decided the values of the features that it was trained on.
        header: everything that its file says, such as `options` and `training`.
        module: the `torch.nn.Module` from `{tap: [images, ...]}` to logits, in evaluation mode.
        device: where it computes.
    """

    def __init__(self, module: Adapter, header: AdapterHeader, device: torch.device) -> None:
        self.module, self.header, self.device = module.to(device), header, device
        self.name, self.task, self.classes = header.adapter, header.task, header.classes
        self.taps: Mapping[str, TapSpec] = {tap.name: tap for tap in header.taps}
        self.metrics: Mapping[str, Any] = header.metrics
        self.fingerprint: Fingerprint = header.fingerprint

    def __repr__(self) -> str:
        return f"<TrainedAdapter {self.name!r}: {', '.join(self.taps)} -> {len(self.classes)} outputs>"

    def __call__(self, features: Mapping[str, Any]) -> Prediction:
        """What it says of features, as `store.read` and `FeatureLoader` give them, or as a program has them.

        Args:
            features: by tap name, arrays or tensors of any float type: `[images, *shape]`, or `[images, views, *shape]`, of
                which the views of an image are averaged. Taps that it does not read are passed over.

        Returns:
            Labels and probabilities, or numbers of a regression, an entry for each image.

        Raises:
            AdapterError: a tap is missing or has another shape; taps of different numbers of images.
            FeatureError: codes of a uint8 store instead of values; scores that are not finite.
        """
        given = {tap: self._of_tap(tap, features) for tap in self.taps}
        counts = {tap: tuple(values.shape[:2]) for tap, values in given.items()}
        if len(set(counts.values())) > 1:
            raise AdapterError(f"taps of different numbers of images and views: {counts}")
        [(n_images, n_views)] = set(counts.values())
        parts = [answer(self.module, part, n_views) for part in _parts(given, n_images, self.device)]
        return self._prediction(torch.cat(parts))

    def predict(self, store: Store, rows: ArrayLike | None = None, *, average_views: bool = False) -> Prediction:
        """What it says of rows of a store.

        Args:
            store: of the features that it was trained on, of any images.
            rows: which, such as `store.rows("test")`; all that can be read by default.
            average_views: from all cached views of an image instead of view 0 alone.

        Returns:
            An entry for each row, in their order.

        Raises:
            AdapterError: the features are of another backbone, transform or tap; every difference is named.
            UncommittedRowError, IndexError: rows that the store does not have.
            FeatureError: scores that are not finite; the image is named.
        """
        where = f"store {str(store.path)!r}"
        self.header.check(store.fingerprint, where)
        self.header.check_code(store.layout.probe, where)
        chosen = store.rows(None) if rows is None else store.check_rows(rows)
        if not len(chosen):
            raise ConfigError("rows: there is none")
        views: Any = "all" if average_views else [0]
        logits = view_logits(self.module, store, chosen, str(self.device), views)
        return self._prediction(self.module.task.answers(logits).mean(dim=1) if average_views else logits[:, 0])

    def _prediction(self, answers: Float[Tensor, "images classes"]) -> Prediction:
        if not answers.isfinite().all():
            raise FeatureError(
                f"adapter {self.name!r} gives NaN or infinite scores: the features are not finite or too large"
            )
        return prediction_of(self.module, self.classes, answers)

    def _of_tap(self, tap: str, features: Mapping[str, Any]) -> Float[Tensor, "images views ..."]:
        if tap not in features:
            raise AdapterError(f"adapter {self.name!r} reads tap {tap!r}: {did_you_mean(tap, features)}")
        given, shape = features[tap], self.taps[tap].shape
        values = given if isinstance(given, Tensor) else as_tensor(np.asarray(given))
        if not values.is_floating_point():
            raise FeatureError(
                f"tap {tap!r} is {values.dtype}, which are codes and no values: read them with dtype='float32', as"
                " `store.read(rows, dtype='float32')`"
            )
        # By the number of axes: the views of a row stand between the images and what a tap has of one.
        views = values[:, None] if values.ndim == len(shape) + 1 else values
        if tuple(views.shape[2:]) != shape or not views.shape[0] or not views.shape[1]:
            raise AdapterError(
                f"tap {tap!r} is {list(values.shape)}, but adapter {self.name!r} reads [images, ...] or [images, views, ...]"
                f" of {list(shape)} each"
            )
        return views


def load_adapter(path: str | Path, *, device: str = "auto") -> TrainedAdapter:
    """A trained adapter, to be called on features or on rows of a store; `udta.Predictor` is for images.

    Args:
        path: a run folder or an adapter file.
        device: where it computes: `auto`, `cpu`, `cuda` or `cuda:N`.

    Returns:
        The adapter, with its classes, task, taps, metrics and fingerprint.

    Raises:
        AdapterError: there is no such file, or it is damaged, foreign, or of another version.
        ConfigError: there is no such device.

    Example:
        >>> adapter, store = udta.load_adapter("runs/photos-udta"), udta.open_store("photos.zarr")
        >>> adapter.predict(store, store.rows("test")).labels[:2]
        ['cat', 'cat']
        >>> adapter(store.read([0, 1])).top(1) == adapter.predict(store, [0, 1], average_views=True).top(1)
        True
    """
    module, header = read_adapter(Path(path))
    return TrainedAdapter(module, header, resolve_device(device))


def _parts(given: Mapping[str, Tensor], n_images: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    for start in range(0, n_images, _ROWS):
        yield {tap: values[start : start + _ROWS].to(device) for tap, values in given.items()}
