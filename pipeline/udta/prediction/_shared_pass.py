"""One pass of a backbone for any number of adapters: what it has to compute, and that it is the one they were trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from udta.adapters import Adapter, AdapterHeader, load_adapter
from udta.backbones import (
    Backbone,
    TapForward,
    fitting_memory_format,
    probe_like,
    rebuild_backbone,
    resolve_compute,
    resolve_device,
)
from udta.errors import AdapterError, ConfigError
from udta.extraction import FeatureSource, OnError, feature_fingerprint
from udta.fingerprint import Fingerprint, TapSpec
from udta.images import Manifest, ViewSpec
from udta.probe import Probe

Loaded = Mapping[str, tuple[Adapter, AdapterHeader]]
# By adapter, for each of its taps the name that it has in the pass over the images.
Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class SharedPass:
    """Adapters by the path that the user gave, on `device`, and what is computed for all of them.

    `taps` have the types in which adapters take them; `names` say what the taps of each adapter are called there.
    """

    adapters: Mapping[str, Adapter]
    headers: Mapping[str, AdapterHeader]
    network: Backbone
    views: ViewSpec
    taps: tuple[TapSpec, ...]
    names: Names
    compute: str
    device: torch.device
    memory_format: str

    def source(self, manifest: Manifest, on_error: OnError) -> FeatureSource:
        """Of the features of images."""
        return FeatureSource(
            manifest, self.views, self.network, self.taps, self.compute, self.device, self.memory_format, on_error
        )

    def forward(self) -> TapForward:
        """The pass itself; it may be called by several threads."""
        return TapForward(self.network, self.taps, self.compute, self.device, memory_format=self.memory_format)

    def of_adapter(self, path: str, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of the features that an adapter reads, by the names that it knows."""
        return {tap: features[name] for tap, name in self.names[path].items()}


def load_adapters(paths: Sequence[str | Path]) -> Loaded:
    """Adapters by the path that the user gave, each once: run folders or adapter files.

    Raises:
        AdapterError: one that cannot be used.
        ConfigError: there is none.
    """
    if not paths:
        raise ConfigError("no adapter was given: name at least one run folder")
    return {str(path): load_adapter(Path(path)) for path in paths}


def shared_pass(
    loaded: Loaded,
    *,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    device: str = "auto",
    views: int = 1,
) -> SharedPass:
    """Build the backbone of adapters, and see that they belong together.

    Args:
        loaded: adapters that were trained on the same backbone.
        backbone: where to find it, or itself; by default as it was named when the features were extracted.
        weights: where its weights are; by default where they were at extraction.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        views: how many of each image; the first is the evaluation transform, the others are augmented as in the store.

    Raises:
        AdapterError: adapters that need different features, or views, or that were trained beside another backbone.
        BackboneError, WeightsError: the backbone cannot be built, is not frozen, or its weights are gone or others.
        ConfigError: nobody says where the backbone is, a wrong device, or no view.
    """
    headers = {path: header for path, (_, header) in loaded.items()}
    where = resolve_device(device)
    network = backbone if isinstance(backbone, Backbone) else _backbone(headers, backbone, weights)
    network.check_frozen()
    first, (taps, names) = next(iter(headers.values())).fingerprint, _common_taps(headers)
    spec, compute = _views(headers, views), first.text("compute")
    resolve_compute(compute, where)
    probe = _checked_probe(headers, network, taps, names, spec, where)
    return SharedPass(
        {path: adapter.to(where) for path, (adapter, _) in loaded.items()},
        headers,
        network,
        spec,
        # An adapter of a uint8 store was trained on what its codes stand for.
        tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in taps),
        names,
        compute,
        where,
        fitting_memory_format(network, taps, compute, where, probe),
    )


def _backbone(headers: Mapping[str, AdapterHeader], backbone: str | None, weights: str | None) -> Backbone:
    """The backbone that the first adapter was trained with; whether it is that of the others is checked by what it is."""
    path, header = next(iter(headers.items()))
    # The transform is that of the features, which need not be the backbone's own.
    evaluate = header.fingerprint.text("input", "evaluate")
    return rebuild_backbone(header.source, f"adapter {path}", backbone=backbone, weights=weights, evaluate=evaluate)


def _views(headers: Mapping[str, AdapterHeader], count: int) -> ViewSpec:
    specs = {path: ViewSpec.from_fields(header.fingerprint.fields) for path, header in headers.items()}
    (first, spec), *others = specs.items()
    for path, other in others:
        # View 0 has no part in seed and augmentation, so that adapters of stores with others may share it.
        if count > 1 and (other.seed, other.augment) != (spec.seed, spec.augment):
            raise AdapterError(
                f"adapter {path} was trained on views by {str(other.augment)!r} (seed {other.seed}), adapter {first} on views "
                f"by {str(spec.augment)!r} (seed {spec.seed}): predict from several views with them one by one"
            )
    return replace(spec, count=count)


def _checked_probe(
    headers: Mapping[str, AdapterHeader],
    network: Backbone,
    taps: tuple[TapSpec, ...],
    names: Names,
    views: ViewSpec,
    device: torch.device,
) -> Probe:
    """What the backbone gives for a fixed picture.

    Raises:
        AdapterError: backbone, code or taps are not those that an adapter was trained with.
    """
    compute = next(iter(headers.values())).fingerprint.text("compute")
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
    return probe


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
