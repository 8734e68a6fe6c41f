"""Re-extracting some samples of a store, to see that what it holds is still what the backbone gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from udta._console.terminal import one_line
from udta.backbones import Backbone, probe_like, rebuild_backbone, resolve_device
from udta.errors import ConfigError, StaleStoreError
from udta.extraction._job import feature_batches
from udta.extraction._request import feature_fingerprint
from udta.extraction._work import FeatureSource
from udta.images import Manifest, ViewSpec, find_packed
from udta.probe import check_probe
from udta.store import Store, as_tensor, open_store, value_dtype

# Relative root mean square difference that other hardware or another batch may make in bf16; a wrong feature is above 0.5.
TOLERANCE = 0.05


@dataclass(frozen=True)
class RecomputeReport:
    """`samples` were computed again; `deviation` is the largest relative RMS difference by tap, `exact` the part of equal bits.

    `differing` names the samples of which a tap deviates by more than `TOLERANCE`, or is not finite now (those are in
    no figure).
    """

    samples: int
    exact: float
    deviation: Mapping[str, float] = field(default_factory=dict)
    differing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)

    def __str__(self) -> str:
        worst = ", ".join(f"{tap} {value:.2g}" for tap, value in self.deviation.items())
        lines = [f"recomputed {self.samples} samples: {self.exact:.1%} of values bit-equal; largest deviation {worst}"]
        lines += [f"DIFFERENT: {one_line(name)}" for name in self.differing]
        return "\n".join(lines)


def recompute(
    store: str | Path | Store,
    *,
    samples: int = 16,
    images: str | Path | None = None,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    device: str = "auto",
    seed: int = 0,
) -> RecomputeReport:
    """Extract randomly chosen samples again and compare.

    Args:
        store: which store.
        samples: how many of its rows.
        images: the folder that its ids are relative to; where it was at extraction by default.
        backbone: how the backbone is named; as at extraction by default, but a factory of one's own has to be named.
        weights: the same for its weights.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of the choice.

    Returns:
        How far stored features are from what the backbone gives now, and for which samples that is too far.

    Raises:
        ConfigError: the store does not say where images or backbone are, and neither do the arguments.
        StaleStoreError: the backbone is not the one that the store was made with, or its code computes something else.
        ImageError, DataError: an image is gone or has changed.

    Example:
        >>> udta.recompute("photos.zarr", samples=4).differing
        ()
    """
    opened = store if isinstance(store, Store) else open_store(store)
    source = live_source(opened, manifest_of(opened, images), backbone, weights, device)
    # A row that was skipped has no features, and one without a block no hash.
    readable = np.array(
        [row for row in range(len(opened)) if opened.ids[row] in opened.hashes and row not in opened.skipped]
    )
    # In order, so that a store is read in order.
    rows = np.sort(np.random.default_rng(seed).choice(readable, min(samples, len(readable)), replace=False))
    errors = {tap: np.zeros((len(rows), source.views.count)) for tap in opened.taps}
    equal = total = done = 0
    for batch in feature_batches(source, rows, range(source.views.count)):
        for tap, bits in batch.features.items():
            stored = opened.read(batch.rows, [tap], dtype="float32")[tap]
            quantiser = opened.layout.quantisers.get(tap)
            # The codes of a uint8 tap are made here from its exact values, by the ranges that the store has.
            values = as_tensor(bits.view(value_dtype(opened.taps[tap].dtype)) if quantiser is None else bits)
            flat = values.flatten(0, 1)
            fresh = (quantiser.round_trip(flat) if quantiser else flat.float()).numpy().reshape(stored.shape)
            equal, total = equal + int((stored == fresh).sum()), total + stored.size
            errors[tap][done : done + len(batch)] = _relative(stored, fresh)
        done += len(batch)
    bad = np.any([error.max(axis=1) > TOLERANCE for error in errors.values()], axis=0)
    worst = {tap: float(error[np.isfinite(error)].max(initial=0)) for tap, error in errors.items()}
    return RecomputeReport(len(rows), equal / max(total, 1), worst, tuple(opened.ids[rows[bad]].tolist()))


def _relative(stored: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """By row and view; infinite where what is fresh is not finite."""
    axes = tuple(range(2, fresh.ndim))
    finite = np.isfinite(fresh).all(axis=axes)
    fresh = np.where(finite.reshape(finite.shape + (1,) * len(axes)), fresh, 0)
    # A tap that is zero everywhere, as behind a ReLU, has nothing to be relative to.
    norm = np.maximum(np.square(fresh).sum(axis=axes), 1e-12)
    result: np.ndarray = np.where(finite, np.sqrt(np.square(stored - fresh).sum(axis=axes) / norm), np.inf)
    return result


def live_source(
    store: Store, manifest: Manifest, backbone: str | Backbone | None, weights: str | None, device: str
) -> FeatureSource:
    """What computes features of images now as those of a store were computed; what is stored as codes comes as float32.

    Raises:
        ConfigError: nobody says which the backbone was.
        StaleStoreError: it is not the one that the store was made with, or its code computes something else.
    """
    compute, dtype = store.fingerprint.text("compute"), store.fingerprint.text("dtype")
    network = backbone if isinstance(backbone, Backbone) else backbone_of(store, backbone, weights)
    spec, taps = ViewSpec.from_fields(store.fingerprint.fields), tuple(store.taps.values())
    differences = store.fingerprint.diff(feature_fingerprint(network, taps, spec, compute, dtype))
    if differences:
        raise StaleStoreError(f"{store.path} was made with another backbone than this one:", differences)
    torch_device, probe = resolve_device(device), store.layout.probe
    check_probe(probe, probe_like(probe, network, taps, compute, torch_device), str(store.path))
    exact = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in taps)
    return FeatureSource(manifest, spec, network, exact, compute, torch_device, store.layout.memory_format)


def backbone_of(store: Store, backbone: str | None, weights: str | None) -> Backbone:
    """The backbone that a store was made with.

    Args:
        store: says what it was, where that is a name of torchvision or timm.
        backbone: where to find it else: a file may not have code imported.
        weights: the same for its weights.

    Raises:
        ConfigError: nobody says which it was. BackboneError: it cannot be built.
    """
    evaluate = store.fingerprint.text("input", "evaluate")
    return rebuild_backbone(store.source, f"store {store.path}", backbone=backbone, weights=weights, evaluate=evaluate)


def manifest_of(store: Store, images: str | Path | None) -> Manifest:
    """The samples of a store, in its order, below `images` or where they were at extraction. Raises `ConfigError`."""
    root = Path(images) if images else _remembered_root(store)
    return Manifest(
        root=root,
        classes=store.classes,
        ids=tuple(store.ids.tolist()),
        labels=store.labels,
        splits=tuple(store.splits.tolist()),
        hashes=tuple(store.hashes.get(name, "") for name in store.ids.tolist()),
        split_rule=store.layout.split_rule,
        packed=find_packed(str(root), store.ids.tolist()),
    )


def _remembered_root(store: Store) -> Path:
    """Where the images were at extraction. Raises `ConfigError` where a file should not decide that."""
    root = store.source.get("images")
    if not isinstance(root, str) or not Path(root).is_absolute():
        raise ConfigError(f"{store.path} does not say where its images are: give --images")
    # A store may be anybody's file: because of it nothing above the folder is read, unless the user names that folder.
    above = [name for name in store.ids.tolist() if ".." in name.split("/")]
    if above:
        raise ConfigError(
            f"{store.path} names images that are not below {root!r}, such as {above[0]!r}: give --images {root!r} to allow it"
        )
    return Path(root)
