"""`udta.predict`: one pass of the backbone over new images serves any number of adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from udta._console.progress import Progress, announce, watched
from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import check_table_name, write_table
from udta.errors import ConfigError, FeatureError
from udta.extraction import Meter, OnError, feature_batches
from udta.images import Manifest, read_unlabelled
from udta.prediction._prediction import answer
from udta.prediction._said import lines_of
from udta.prediction._shared_pass import SharedPass, shared_pass
from udta.store import as_tensor, not_finite, value_dtype

COLUMNS = ("path", "adapter", "label", "probability")
# Where an adapter says numbers.
VALUE = "value"


@dataclass(frozen=True)
class PredictReport:
    """`images` were predicted by each of `adapters` and written to `out`; `skipped` gives a reason by image."""

    out: str
    images: int
    adapters: Sequence[str]
    skipped: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {"out": self.out, "images": self.images, "adapters": list(self.adapters), "skipped": dict(self.skipped)}


@one_writer_of("out")
@watched("images")
def predict(
    images: str | Path | Sequence[str | Path],
    *,
    adapters: Sequence[str | Path],
    out: str | Path,
    backbone: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> PredictReport:
    """Predict what every adapter was trained for of every image, and write a table `path, adapter, label, probability`.

    Of several labels there is a line for each that is above its threshold, and where none is one without label, with the highest
    probability. Of numbers there is a line for each target, its name as `label`, and a column `value` more.

    Args:
        images: an image file, a folder of images at any depth, a CSV/Parquet file with a column `path`, a `.txt` of one path a
            line, `name:folder` of a built-in dataset, or a list of such. In the table, paths are relative to a folder or
            table that is given alone, else as they are given.
        adapters: run folders or adapter files that were trained on the same backbone.
        out: `.csv` or `.parquet`; one line or more for each image and adapter, written when all are done.
        backbone: where to find the backbone; by default as it was named when the features were extracted, where that is a model
            of torchvision or timm. A factory of one's own has to be named, because a file may not have code imported.
        weights: where its weights are; by default where they were at extraction.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, also because its features or scores are not finite, or `skip` it:
            it gets a line without label.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Raises:
        AdapterError: an adapter file that cannot be used, or adapters that need different features.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or its weights are gone or others.
        ConfigError: no adapter, nobody says where the backbone is, a wrong device, or `out` is no table.
        DataError: a folder or list of images that cannot be used.
        ImageError, FeatureError: an image that cannot be read, or with features or scores that are not finite; not with `skip`.
        OutputBusyError: another process is writing `out`.
    """
    target = local_path("out", out)
    check_table_name("out", target)
    if not adapters:
        raise ConfigError("no adapter was given: name at least one run folder")
    shared = shared_pass(adapters, backbone=backbone, weights=weights, device=device)
    manifest = read_unlabelled(images, on_error=on_error)
    predictions, meter = _Predictions(shared, manifest, on_error), Meter()
    for batch in feature_batches(shared.source(manifest, on_error), range(len(manifest)), [0], meter):
        predictions.add(batch.rows, batch.features, batch.skipped)
        announce("images", batch.rows[-1] + 1, len(manifest), str(meter))
    # Only now: a table of a part of the images would pass for one of all.
    columns = dict(zip((*COLUMNS, VALUE), zip(*predictions.lines, strict=True), strict=True))
    if not any(header.task == "regression" for header in shared.headers.values()):
        del columns[VALUE]
    write_table(target, columns)
    skipped = predictions.skipped
    return PredictReport(str(target), len(manifest) - len(skipped), list(shared.adapters), skipped)


class _Predictions:
    """The lines of the table so far, as `COLUMNS` and `VALUE`, and for which images and why there is no answer."""

    def __init__(self, shared: SharedPass, manifest: Manifest, on_error: OnError) -> None:
        self.lines: list[tuple[str, str, str, float | None, float | None]] = []
        self.skipped: dict[str, str] = {}
        self._shared, self._ids, self._on_error = shared, manifest.ids, on_error
        self._types = {tap.name: tap.dtype for tap in shared.taps}

    def add(self, rows: Sequence[int], features: Mapping[str, np.ndarray], undecoded: Mapping[int, str]) -> None:
        """A batch with features `[rows, views, *tap.shape]` as stored; raises `FeatureError` where none may be skipped."""
        names = [self._ids[row] for row in rows]
        bad = self._skip({names[position]: reason for position, reason in not_finite(features, self._types).items()})
        bad |= self._skip({self._ids[row]: reason for row, reason in undecoded.items()})
        values = {name: self._values(features[name], dtype) for name, dtype in self._types.items()}
        for path, adapter in self._shared.adapters.items():
            answers = answer(adapter, self._shared.of_adapter(path, values), self._shared.views.count)
            self._add_lines(path, names, answers, bad)

    def _add_lines(
        self, path: str, names: Sequence[str], answers: Float[Tensor, "images classes"], bad: set[str]
    ) -> None:
        # Finite features may still overflow in an adapter, and then the first NaN would be the best class.
        finite = torch.isfinite(answers).all(dim=1).tolist()
        lost = [name for name, whole in zip(names, finite, strict=True) if not whole and name not in bad]
        without = bad | self._skip(dict.fromkeys(lost, f"adapter {path} gives NaN or infinite scores"))
        said = lines_of(self._shared.adapters[path], self._shared.headers[path].classes, answers)
        for name, lines in zip(names, said, strict=True):
            # An image that cannot be used keeps its line, so that tables of two runs have the same lines.
            found = [("", None, None)] if name in without else lines
            self.lines += [(name, path, *line) for line in found]

    def _values(self, stored: np.ndarray, dtype: str) -> Tensor:
        """A tap as the adapter takes it; features come as bits, since NumPy has no bfloat16."""
        return as_tensor(stored.view(value_dtype(dtype))).to(self._shared.device)

    def _skip(self, reasons: dict[str, str]) -> set[str]:
        """Remember why images have no class; raises `FeatureError` for the first one where none may be skipped."""
        if reasons and self._on_error == "fail":
            name, reason = next(iter(reasons.items()))
            raise FeatureError(f"{name}: {reason}; --on-error skip leaves such images out")
        self.skipped |= reasons
        return set(reasons)
