"""Prediction: one pass of the backbone over new images serves any number of adapters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import check_table_name, write_table
from udta.adapters import Adapter, AdapterHeader, load_adapter
from udta.backbones import (
    fitting_memory_format,
    probe_like,
    rebuild_backbone,
    resolve_compute,
    resolve_device,
)
from udta.errors import AdapterError, ConfigError, FeatureError
from udta.extraction import FeatureSource, Meter, OnError, Progress, feature_batches, feature_fingerprint
from udta.fingerprint import TapSpec
from udta.images import ViewSpec, read_unlabelled
from udta.probe import Probe
from udta.store import as_tensor, not_finite, value_dtype

COLUMNS = ("path", "adapter", "label", "probability")


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
def predict(
    images: str | Path | Sequence[str | Path],
    *,
    adapters: Sequence[str | Path],
    out: str | Path,
    backbone: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    progress: Progress | None = None,
) -> PredictReport:
    """Predict the class of every image with every adapter, and write a table `path, adapter, label, probability`.

    Args:
        images: an image file, a folder of images at any depth, a CSV/Parquet file with a column `path`, a `.txt` of one path a
            line, `name:folder` of a built-in dataset, or a list of such. In the table, paths are relative to a folder or
            table that is given alone, else as they are given.
        adapters: run folders or adapter files that were trained on the same backbone.
        out: `.csv` or `.parquet`; one line for each image and adapter, written when all are done.
        backbone: where to find the backbone; by default as it was named when the features were extracted, where that is a model
            of torchvision or timm. A factory of one's own has to be named, because a file may not have code imported.
        weights: the same for its weights.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, also because its features or scores are not finite, or `skip` it:
            it gets a line without label.
        progress: called after every batch.

    Raises:
        AdapterError: an adapter file that cannot be used, or adapters that need different features.
        BackboneError, ConfigError, DataError, ImageError, FeatureError: as `extract`.
        OutputBusyError: another process is writing `out`.
    """
    target = local_path("out", out)
    check_table_name("out", target)
    if not adapters:
        raise ConfigError("no adapter was given: name at least one run folder")
    loaded = {str(path): load_adapter(Path(path)) for path in adapters}
    first = next(iter(loaded.values()))[1]
    taps = _common_taps(loaded)
    manifest = read_unlabelled(images, on_error=on_error)
    network = rebuild_backbone(
        first.source,
        f"adapter {next(iter(loaded))}",
        backbone=backbone,
        weights=weights,
        evaluate=first.fingerprint.text("input", "evaluate"),
    )
    network.check_frozen()
    views, compute = ViewSpec.from_fields(first.fingerprint.fields), first.fingerprint.text("compute")
    place = resolve_device(device)
    resolve_compute(compute, place)
    fingerprint = feature_fingerprint(network, taps, views, compute, taps[0].dtype)
    for path, (_, header) in loaded.items():
        header.check(fingerprint, f"this backbone (adapter {path})")
    recorded = [header.probe for _, header in loaded.values()]
    probe = probe_like(next(filter(None, recorded), Probe()), network, taps, compute, place)
    for path, (_, header) in loaded.items():
        header.check_code(probe, f"this backbone (adapter {path})")
    # An adapter of a uint8 store was trained on what its codes stand for.
    values = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in taps)
    types, meter = {tap.name: tap.dtype for tap in values}, Meter()
    memory_format = fitting_memory_format(network, taps, compute, place, probe)
    source = FeatureSource(manifest, views, network, values, compute, place, memory_format, on_error)
    models = {path: adapter.to(place) for path, (adapter, _) in loaded.items()}

    table: list[tuple[str, str, str, float | None]] = []
    skipped: dict[str, str] = {}
    for batch in feature_batches(source, range(len(manifest)), [0], meter):
        names = [manifest.ids[row] for row in batch.rows]
        bad = _skip({names[position]: why for position, why in not_finite(batch.features, types).items()}, on_error)
        bad |= {manifest.ids[row]: reason for row, reason in batch.skipped.items()}
        skipped |= bad
        features = {
            tap.name: as_tensor(batch.features[tap.name][:, 0].view(value_dtype(tap.dtype))).to(place) for tap in values
        }
        for path, (_, header) in loaded.items():
            labels, probabilities = _classify(models[path], header, features)
            lost = [name for name, one in zip(names, probabilities, strict=True) if math.isnan(one) and name not in bad]
            skipped |= _skip(dict.fromkeys(lost, f"adapter {path} gives NaN or infinite scores"), on_error)
            for name, label, probability in zip(names, labels, probabilities, strict=True):
                usable = name not in bad and not math.isnan(probability)
                table.append((name, path, label if usable else "", probability if usable else None))
        if progress:
            progress(batch.rows[-1] + 1, len(manifest), str(meter))
    write_table(target, dict(zip(COLUMNS, zip(*table, strict=True), strict=True)))
    return PredictReport(str(target), len(manifest) - len(skipped), list(loaded), skipped)


def _skip(reasons: dict[str, str], on_error: OnError) -> dict[str, str]:
    """The reasons by image; raises `FeatureError` for the first one where none may be skipped."""
    if reasons and on_error == "fail":
        name, reason = next(iter(reasons.items()))
        raise FeatureError(f"{name}: {reason}; --on-error skip leaves such images out")
    return reasons


def _classify(
    adapter: Adapter, header: AdapterHeader, features: Mapping[str, torch.Tensor]
) -> tuple[list[str], list[float]]:
    """The most probable class of each image and its probability, which is NaN where the scores are not finite."""
    with torch.inference_mode():
        probabilities = adapter(features).softmax(dim=1).cpu().numpy()
    best = probabilities.argmax(axis=1)
    return [header.classes[index] for index in best], probabilities[np.arange(len(best)), best].tolist()


def _common_taps(loaded: Mapping[str, tuple[Adapter, AdapterHeader]]) -> tuple[TapSpec, ...]:
    """What one pass has to compute so that every adapter finds its taps."""
    taps: dict[str, TapSpec] = {}
    for path, (_, header) in loaded.items():
        for tap in header.taps:
            if taps.setdefault(tap.name, tap) != tap:
                raise AdapterError(
                    f"adapter {path} reads tap {tap.name!r} as {tap.reducer} {list(tap.shape)} {tap.dtype}, another as "
                    f"{taps[tap.name].reducer} {list(taps[tap.name].shape)} {taps[tap.name].dtype}; predict with them one by one"
                )
    return tuple(taps.values())
