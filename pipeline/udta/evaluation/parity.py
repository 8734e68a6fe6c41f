"""Cached against live: the logits of some images through the store, and through the backbone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from udta._console.terminal import one_line
from udta._machine.device import resolve_device
from udta.adapters import load_adapter
from udta.backbones import Backbone, probe_like
from udta.errors import FeatureError
from udta.extraction import FeatureSource, feature_batches, feature_fingerprint
from udta.extraction.recompute import backbone_of, manifest_of
from udta.images import ViewSpec
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
        weights: the same for its weights.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of the choice.

    Raises:
        AdapterError: the store or the backbone is not the one that the adapter was trained with.
        ConfigError: no such split, or nobody says where the backbone is.
        ImageError, DataError: an image is gone or has changed.
        FeatureError: the live features of an image are not finite.
    """
    adapter, header = load_adapter(Path(run))
    opened = store if isinstance(store, Store) else open_store(store)
    header.check(opened.fingerprint, f"store {str(opened.path)!r}")
    header.check_code(opened.layout.probe, f"store {str(opened.path)!r}")
    network = backbone if isinstance(backbone, Backbone) else backbone_of(opened, backbone, weights)
    compute, dtype = opened.fingerprint.text("compute"), opened.fingerprint.text("dtype")
    spec, place = ViewSpec.from_fields(opened.fingerprint.fields), resolve_device(device)
    header.check(feature_fingerprint(network, header.taps, spec, compute, dtype), "this backbone")
    header.check_code(probe_like(header.probe, network, header.taps, compute, place), "this backbone")
    readable = opened.rows(split)
    rows = np.sort(np.random.default_rng(seed).choice(readable, min(samples, len(readable)), replace=False))
    cached = view_logits(adapter, opened, rows, str(place), views=[0])[:, 0]
    taps = tuple(replace(tap, dtype="float32") for tap in header.taps)
    source = FeatureSource(
        manifest_of(opened, images), spec, network, taps, compute, place, opened.layout.memory_format
    )
    with torch.inference_mode():
        live = torch.cat(
            [
                adapter({tap: torch.from_numpy(values[:, 0]).to(place) for tap, values in batch.features.items()}).cpu()
                for batch in feature_batches(source, rows, [0])
            ]
        )
    broken = opened.ids[rows[~torch.isfinite(live).all(dim=1).numpy()]].tolist()
    if broken:  # no class can be compared with theirs
        raise FeatureError(
            f"what the backbone gives now for {len(broken)} of {len(rows)} image(s) is not finite, such as {broken[0]!r}, though"
            f" {opened.path} has features of them: try --device cpu, and `udta verify {opened.path} --recompute 16`"
        )
    same = (cached.argmax(dim=1) == live.argmax(dim=1)).numpy()
    difference = (cached - live).double()
    return ParityReport(
        images=len(rows),
        same_top1=float(same.mean()),
        largest=float(difference.abs().max()),
        rms=float(difference.square().mean().sqrt()),
        spread=float(live.double().std()),
        differing=tuple(opened.ids[rows[~same]].tolist()),
    )
