"""`udta.predict`: one pass of the backbone over new images serves any number of adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from udta._files.locks import one_writer_of
from udta._files.paths import local_path
from udta._files.table_file import check_table_name, write_table
from udta.adapters import Adapter, AdapterHeader, load_adapter
from udta.backbones import (
    Backbone,
    fitting_memory_format,
    probe_like,
    rebuild_backbone,
    resolve_compute,
    resolve_device,
)
from udta.errors import AdapterError, ConfigError, FeatureError
from udta.evaluation._said import lines_of
from udta.extraction import FeatureSource, Meter, OnError, Progress, feature_batches, feature_fingerprint
from udta.fingerprint import Fingerprint, TapSpec
from udta.images import Manifest, ViewSpec, read_unlabelled
from udta.probe import Probe
from udta.store import as_tensor, not_finite, value_dtype

COLUMNS = ("path", "adapter", "label", "probability")
# Where an adapter says numbers.
VALUE = "value"
# By the path that the user gave.
Loaded = Mapping[str, tuple[Adapter, AdapterHeader]]
# By adapter, for each of its taps the name that it has in the pass over the images.
Names = Mapping[str, Mapping[str, str]]


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
        progress: called after every batch.

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
    loaded = {str(path): load_adapter(Path(path)) for path in adapters}
    manifest = read_unlabelled(images, on_error=on_error)
    network = _backbone(loaded, backbone, weights)
    source, names = _feature_source(loaded, network, manifest, resolve_device(device), on_error)
    predictions, meter = _Predictions(loaded, source, names), Meter()
    for batch in feature_batches(source, range(len(manifest)), [0], meter):
        predictions.add(batch.rows, batch.features, batch.skipped)
        if progress:
            progress(batch.rows[-1] + 1, len(manifest), str(meter))
    # Only now: a table of a part of the images would pass for one of all.
    columns = dict(zip((*COLUMNS, VALUE), zip(*predictions.lines, strict=True), strict=True))
    if not any(header.task == "regression" for _, header in loaded.values()):
        del columns[VALUE]
    write_table(target, columns)
    skipped = predictions.skipped
    return PredictReport(str(target), len(manifest) - len(skipped), list(loaded), skipped)


def _backbone(loaded: Loaded, backbone: str | None, weights: str | None) -> Backbone:
    """The backbone that the first adapter was trained with; whether it is that of the others is checked by what it is."""
    path, (_, header) = next(iter(loaded.items()))
    # The transform is that of the features, which need not be the backbone's own.
    evaluate = header.fingerprint.text("input", "evaluate")
    network = rebuild_backbone(header.source, f"adapter {path}", backbone=backbone, weights=weights, evaluate=evaluate)
    network.check_frozen()
    return network


def _feature_source(
    loaded: Loaded, network: Backbone, manifest: Manifest, device: torch.device, on_error: OnError
) -> tuple[FeatureSource, Names]:
    """What the features come from, as it was in training, and what taps are called there.

    Raises:
        AdapterError: backbone, code or taps are not those that an adapter was trained with.
        ConfigError: the device cannot do the arithmetic.
    """
    headers = {path: header for path, (_, header) in loaded.items()}
    trained_on, (taps, names) = next(iter(headers.values())).fingerprint, _common_taps(headers)
    # Only view 0 is made, which seed and augmentation have no part in.
    views, compute = ViewSpec.from_fields(trained_on.fields), trained_on.text("compute")
    resolve_compute(compute, device)
    # One type, as all taps of a store have; an adapter of a store with another is refused next.
    fields = feature_fingerprint(network, taps, views, compute, taps[0].dtype).fields
    for path, header in headers.items():
        own = {tap.name: tap.identity for tap in header.taps}
        header.check(Fingerprint({**fields, "taps": own}), f"this backbone (adapter {path})")
    # One pass of the probe for all adapters. An empty one, of a file without, says nothing and would be compared with nothing.
    recorded = next(filter(None, (header.probe for header in headers.values())), Probe())
    probe = probe_like(recorded, network, taps, compute, device)
    for path, header in headers.items():
        numbers = {tap: probe.taps[name] for tap, name in names[path].items() if name in probe.taps}
        header.check_code(replace(probe, taps=numbers), f"this backbone (adapter {path})")
    # An adapter of a uint8 store was trained on what its codes stand for.
    values = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in taps)
    memory_format = fitting_memory_format(network, taps, compute, device, probe)
    return FeatureSource(manifest, views, network, values, compute, device, memory_format, on_error), names


def _common_taps(headers: Mapping[str, AdapterHeader]) -> tuple[tuple[TapSpec, ...], Names]:
    """What one pass has to compute so that every adapter finds its taps, and by adapter what its taps are called there."""
    taps: dict[tuple[str, str], TapSpec] = {}
    for path, header in headers.items():
        for tap in header.taps:
            first = taps.setdefault((tap.module, tap.reducer), tap)
            if (first.shape, first.dtype) != (tap.shape, tap.dtype):
                raise AdapterError(
                    f"adapter {path} reads tap {tap.name!r} as {tap.reducer} {list(tap.shape)} {tap.dtype}, another as "
                    f"{first.reducer} {list(first.shape)} {first.dtype}; predict with them one by one"
                )
    # Of two stores, `blocks.5` may be the grid in one and the class token in the other: the second is `blocks.5=cls` here.
    clear: dict[str, TapSpec] = {}
    for tap in taps.values():
        name = tap.name if tap.name not in clear else f"{tap.module}={tap.reducer}"
        clear[name] = replace(tap, name=name)
    called = {(tap.module, tap.reducer): name for name, tap in clear.items()}
    names = {
        path: {tap.name: called[tap.module, tap.reducer] for tap in header.taps} for path, header in headers.items()
    }
    return tuple(clear.values()), names


class _Predictions:
    """The lines of the table so far, as `COLUMNS` and `VALUE`, and for which images and why there is no answer."""

    def __init__(self, loaded: Loaded, source: FeatureSource, names: Names) -> None:
        self.lines: list[tuple[str, str, str, float | None, float | None]] = []
        self.skipped: dict[str, str] = {}
        self._source, self._names = source, names
        self._adapters = {path: (adapter.to(source.device), header) for path, (adapter, header) in loaded.items()}

    def add(self, rows: Sequence[int], features: Mapping[str, np.ndarray], undecoded: Mapping[int, str]) -> None:
        """A batch with features `[rows, 1 view, *tap.shape]` as stored; raises `FeatureError` where none may be skipped."""
        ids, types = self._source.manifest.ids, {tap.name: tap.dtype for tap in self._source.taps}
        names = [ids[row] for row in rows]
        bad = self._skip({names[position]: reason for position, reason in not_finite(features, types).items()})
        bad |= self._skip({ids[row]: reason for row, reason in undecoded.items()})
        values = {name: self._values(features[name], dtype) for name, dtype in types.items()}
        for path, (adapter, header) in self._adapters.items():
            with torch.inference_mode():
                own = {tap: values[name] for tap, name in self._names[path].items()}
                logits = adapter(own).cpu()
            self._add_lines(path, header, names, logits, bad)

    def _add_lines(
        self,
        path: str,
        header: AdapterHeader,
        names: Sequence[str],
        logits: Float[Tensor, "images classes"],
        bad: set[str],
    ) -> None:
        # Finite features may still overflow in an adapter, and then the first NaN would be the best class.
        finite = torch.isfinite(logits).all(dim=1).tolist()
        lost = [name for name, whole in zip(names, finite, strict=True) if not whole and name not in bad]
        without = bad | self._skip(dict.fromkeys(lost, f"adapter {path} gives NaN or infinite scores"))
        said = lines_of(self._adapters[path][0], header.classes, logits)
        for name, lines in zip(names, said, strict=True):
            # An image that cannot be used keeps its line, so that tables of two runs have the same lines.
            found = [("", None, None)] if name in without else lines
            self.lines += [(name, path, *line) for line in found]

    def _values(self, stored: np.ndarray, dtype: str) -> Tensor:
        """View 0 of a tap as the adapter takes it; features come as bits, since NumPy has no bfloat16."""
        return as_tensor(stored[:, 0].view(value_dtype(dtype))).to(self._source.device)

    def _skip(self, reasons: dict[str, str]) -> set[str]:
        """Remember why images have no class; raises `FeatureError` for the first one where none may be skipped."""
        if reasons and self._source.on_error == "fail":
            name, reason = next(iter(reasons.items()))
            raise FeatureError(f"{name}: {reason}; --on-error skip leaves such images out")
        self.skipped |= reasons
        return set(reasons)
