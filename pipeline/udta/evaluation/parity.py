"""`udta.parity`: cached against live, the logits of some images through the store and through the backbone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta._console.terminal import one_line
from udta._machine.device import resolve_device
from udta.adapters import Adapter, AdapterHeader, load_adapter
from udta.backbones import Backbone, probe_like
from udta.errors import FeatureError
from udta.extraction import FeatureSource, feature_batches, feature_fingerprint
from udta.extraction.recompute import backbone_of, manifest_of
from udta.images import Manifest, ViewSpec
from udta.scoring import view_logits
from udta.store import Store, open_store


@dataclass(frozen=True)
class ParityReport:
    """`same_top1` is the part of `images` with the same top-1 class (view 0) from the store and from the backbone.

    `largest` and `rms` are of the differences between logits, `spread` is the standard deviation of the live logits, to
    compare them with; `differing` names the images whose class differs.
    """

    images: int
    same_top1: float
    largest: float
    rms: float
    spread: float
    differing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {**asdict(self), "differing": list(self.differing)}

    def __str__(self) -> str:
        return "\n".join(
            [
                f"cached and live features give the same top-1 on {self.same_top1:.1%} of {self.images} images; logits differ"
                f" by {self.rms:.2g} RMS, {self.largest:.2g} at most, of a spread of {self.spread:.2g}",
                *(f"DIFFERENT: {one_line(name)}" for name in self.differing),
            ]
        )


def parity(
    run: str | Path,
    store: str | Path | Store,
    *,
    samples: int = 16,
    split: str | None = "test",
    images: str | Path | None = None,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    device: str = "auto",
    seed: int = 0,
) -> ParityReport:
    """Run an adapter on randomly chosen samples twice: on their stored view 0, and on what the backbone gives for it now.

    The live features are not rounded to the storage type, so this shows what storing costs.

    Args:
        run: a run folder or an adapter file.
        store: a store that the adapter can read.
        samples: how many of its rows.
        split: of which split; None takes every row.
        images: the folder that its ids are relative to; where it was at extraction by default.
        backbone: how the backbone is named; as at extraction by default, but a factory of one's own has to be named.
        weights: where its weights are; as at extraction by default.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of the choice.

    Returns:
        How many of them get the same class from both, and how far the scores are apart.

    Raises:
        AdapterError: the store or the backbone is not the one that the adapter was trained with.
        ConfigError: no such split, or nobody says where the backbone is.
        ImageError, DataError: an image is gone or has changed.
        FeatureError: the live features of an image are not finite.

    Example:
        >>> udta.parity("runs/photos-udta", "photos.zarr", samples=4).images
        4
    """
    adapter, header = load_adapter(Path(run))
    opened = store if isinstance(store, Store) else open_store(store)
    header.check(opened.fingerprint, f"store {str(opened.path)!r}")
    header.check_code(opened.layout.probe, f"store {str(opened.path)!r}")
    # Named by the user or a model of a library: a name out of the file would be code that somebody else chose (SECURITY.md).
    network = backbone if isinstance(backbone, Backbone) else backbone_of(opened, backbone, weights)
    source = _live(header, opened, network, manifest_of(opened, images), resolve_device(device))
    # Also those without a label: what is compared are two logits of one image.
    readable = opened.rows(split)
    # In the order of the store: neighbours are read together, and images of a folder lie together on most disks.
    rows = np.sort(np.random.default_rng(seed).choice(readable, min(samples, len(readable)), replace=False))
    cached = view_logits(adapter, opened, rows, str(source.device), views=[0])[:, 0]
    live = _live_logits(adapter, source, rows)
    _check_finite(live, opened, rows)
    return _report(cached, live, opened.ids[rows])


def _live(
    header: AdapterHeader, store: Store, network: Backbone, manifest: Manifest, device: torch.device
) -> FeatureSource:
    """The backbone beside the images of a store; raises `AdapterError` when it is not that of the adapter."""
    compute, views = store.fingerprint.text("compute"), ViewSpec.from_fields(store.fingerprint.fields)
    fingerprint = feature_fingerprint(network, header.taps, views, compute, store.fingerprint.text("dtype"))
    header.check(fingerprint, "this backbone")
    # Weights and names may be the same and the code another: only running it shows that.
    header.check_code(probe_like(header.probe, network, header.taps, compute, device), "this backbone")
    # float32: rounding to the storage type is one of the differences that are looked for.
    taps = tuple(replace(tap, dtype="float32") for tap in header.taps)
    return FeatureSource(manifest, views, network, taps, compute, device, store.layout.memory_format)


def _live_logits(
    adapter: Adapter, source: FeatureSource, rows: Int64[np.ndarray, " rows"]
) -> Float[Tensor, "rows classes"]:
    """What the adapter says of view 0 through the backbone, on the CPU."""
    adapter, logits = adapter.to(source.device), []
    with torch.inference_mode():
        for batch in feature_batches(source, rows, [0]):
            features = {tap: torch.from_numpy(values[:, 0]).to(source.device) for tap, values in batch.features.items()}
            logits.append(adapter(features).cpu())
    return torch.cat(logits)


def _check_finite(live: Float[Tensor, "rows classes"], store: Store, rows: Int64[np.ndarray, " rows"]) -> None:
    """Raises `FeatureError`: no class can be compared with NaN, whose argmax is a class like any other."""
    broken = store.ids[rows[~torch.isfinite(live).all(dim=1).numpy()]].tolist()
    if broken:
        raise FeatureError(
            f"what the backbone gives now for {len(broken)} of {len(rows)} image(s) is not finite, such as {broken[0]!r}, though"
            f" {store.path} has features of them: try --device cpu, and `udta verify {store.path} --recompute 16`"
        )


def _report(
    cached: Float[Tensor, "rows classes"], live: Float[Tensor, "rows classes"], ids: np.ndarray
) -> ParityReport:
    same = (cached.argmax(dim=1) == live.argmax(dim=1)).numpy()
    # In float64: squares of small differences are summed over all images and classes.
    difference = (cached - live).double()
    return ParityReport(
        images=len(ids),
        same_top1=float(same.mean()),
        largest=float(difference.abs().max()),
        rms=float(difference.square().mean().sqrt()),
        spread=float(live.double().std()),
        differing=tuple(ids[~same].tolist()),
    )
