"""From the options of an extraction to everything that it needs, with all mistakes reported at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from udta.backbones import (
    Backbone,
    TapRequest,
    build_backbone,
    check_pure,
    fitting_memory_format,
    parse_taps,
    probe_backbone,
    resolve_compute,
    resolve_device,
    resolve_taps,
)
from udta.errors import ConfigError, Problems, did_you_mean
from udta.fingerprint import FEATURE_VERSION, Fingerprint, TapSpec
from udta.images import DECODERS, Decoder, Manifest, OnError, Transform, ViewSpec, read_images
from udta.images.ops.gpu_ops import check_on_gpu
from udta.probe import Probe
from udta.store import ENGINES, STORAGE_TYPES, Layout, default_block_rows

# Batches decoded ahead: two keep the backbone busy, four absorb a slow file; each holds 24 MB at five views of 224 px.
PREFETCH = 4


@dataclass(frozen=True)
class Request:
    """What is extracted, with what, and how it will lie in the store; `kept` names what the store holds beyond what was asked."""

    manifest: Manifest
    backbone: Backbone
    views: ViewSpec
    layout: Layout
    compute: str
    device: torch.device
    kept: tuple[str, ...] = ()

    @property
    def taps(self) -> tuple[TapSpec, ...]:
        """What is stored of an image, in execution order."""
        return tuple(self.layout.taps.values())


def make_request(
    images: str | Path | Manifest,
    *,
    backbone: str | Backbone,
    taps: str,
    weights: str = "none",
    views: int = 1,
    dtype: str = "float16",
    codec: str = "none",
    splits: str | Path | None = None,
    compute: str = "auto",
    device: str = "auto",
    on_error: OnError = "fail",
    seed: int = 0,
    transform: str | None = None,
    augment: str | None = None,
    decoder: Decoder = "pillow",
    format: str | None = None,  # noqa: A002  # the word that users type
    workers: int | None = None,
    prefetch: int = PREFETCH,
    allow_impure: bool = False,
) -> Request:
    """Read the images, build the backbone and lay out the store; see `extract` for the arguments and errors."""
    requests, place, arithmetic = check_options(
        backbone=backbone,
        taps=taps,
        views=views,
        dtype=dtype,
        codec=codec,
        compute=compute,
        device=device,
        on_error=on_error,
        transform=transform,
        augment=augment,
        decoder=decoder,
        format=format,
        workers=workers,
        prefetch=prefetch,
    )
    manifest = manifest_of(images, splits, seed, on_error)
    network = backbone if isinstance(backbone, Backbone) else build_backbone(backbone, weights, evaluate=transform)
    network.check_frozen()
    spec = _view_spec(network, views, seed, augment, decoder)
    specs = resolve_taps(network, requests, dtype)
    layout = Layout(
        ids=manifest.ids,
        labels=manifest.labels,
        splits=manifest.splits,
        classes=manifest.classes,
        taps={tap.name: tap for tap in specs},
        n_views=views,
        block_rows=default_block_rows(specs, views, len(manifest)),
        fingerprint=feature_fingerprint(network, specs, spec, arithmetic, dtype),
        split_rule=manifest.split_rule,
        codec=codec,
        **examined(network, specs, arithmetic, place, allow_impure=allow_impure),
        source={"images": str(manifest.root.resolve()), **network.source},
    )
    return Request(manifest, network, spec, layout, arithmetic, place)


def check_options(
    *,
    backbone: str | Backbone,
    taps: str,
    views: int = 1,
    dtype: str = "float16",
    codec: str = "none",
    compute: str = "auto",
    device: str = "auto",
    on_error: OnError = "fail",
    transform: str | None = None,
    augment: str | None = None,
    decoder: Decoder = "pillow",
    format: str | None = None,  # noqa: A002  # the word that users type
    workers: int | None = None,
    prefetch: int = PREFETCH,
) -> tuple[tuple[TapRequest, ...], torch.device, str]:
    """What can be told before images or backbone are looked at: the taps asked for, the device, the arithmetic.

    Raises:
        ConfigError: every option that is wrong.
    """
    problems = Problems()
    requests = problems.collect(parse_taps, taps)
    place = problems.collect(resolve_device, device)
    arithmetic = problems.collect(resolve_compute, compute, place) if place is not None else None
    for string in (transform, augment):
        problems.collect(Transform.parse, string) if string else None
    codecs = ENGINES[format or "zarr"].codecs if (format or "zarr") in ENGINES else ("none",)
    for what, value, valid in (
        ("dtype", dtype, STORAGE_TYPES),
        ("on_error", on_error, ("fail", "skip")),
        ("decoder", decoder, DECODERS),
        ("format", format or "zarr", ENGINES),
        (f"codec for {format or 'zarr'}", codec, codecs),
    ):
        if value not in valid:
            problems.add(f"{what} is {value!r}: {did_you_mean(value, valid)}")
    if views < 1:
        problems.add(f"views is {views}, but view 0, the evaluation transform, is always stored: give 1 or more")
    if workers is not None and workers < 1:
        problems.add(f"workers is {workers}, but at least one process has to work")
    if decoder == "nvjpeg" and place is not None and place.type != "cuda":
        problems.add("decoder is 'nvjpeg', which decodes on a CUDA device, and there is none: use pillow")
    if prefetch < 1:
        problems.add(f"prefetch is {prefetch}, but at least one batch has to be decoded before it can be computed")
    if transform and isinstance(backbone, Backbone):
        problems.add("transform belongs to building a backbone, but this one is built already: set it there")
    problems.raise_any()
    assert requests is not None  # a problem otherwise
    assert place is not None
    assert arithmetic is not None
    return requests, place, arithmetic


def manifest_of(
    images: str | Path | Manifest, splits: str | Path | None, seed: int, on_error: OnError = "fail"
) -> Manifest:
    """The samples that `images` names. Raises `ConfigError`, `DataError`."""
    if isinstance(images, Manifest):
        return images
    return read_images(images, splits=_path(splits), seed=seed, on_error=on_error)


def examined(
    backbone: Backbone, taps: tuple[TapSpec, ...], compute: str, device: torch.device, *, allow_impure: bool
) -> dict[str, Any]:
    """The fields of a layout that tell how a backbone behaves when it runs. Raises `BackboneError` where that is not allowed."""
    impure = check_pure(backbone, taps, compute, device, allowed=allow_impure)
    # Of a backbone that gives something else each time there is nothing to compare with later.
    probe = Probe() if impure else probe_backbone(backbone, taps, compute, device)
    memory_format = fitting_memory_format(backbone, taps, compute, device, probe)
    return {"probe": probe, "memory_format": memory_format, "impure": impure}


def feature_fingerprint(
    backbone: Backbone, taps: tuple[TapSpec, ...], views: ViewSpec, compute: str, dtype: str
) -> Fingerprint:
    """Everything that decides the feature values (DESIGN contract 3)."""
    return Fingerprint(
        {
            "feature_version": FEATURE_VERSION,
            "backbone": backbone.fingerprint_fields(),
            "input": {
                "evaluate": str(views.evaluate),
                "mean": list(backbone.input.mean),
                "std": list(backbone.input.std),
                **({} if views.decoder == "pillow" else {"decoder": views.decoder}),
            },
            "taps": {tap.name: {"reducer": tap.reducer, "shape": list(tap.shape)} for tap in taps},
            "views": views.to_json(),
            "compute": compute,
            "dtype": dtype,
        }
    )


def _view_spec(backbone: Backbone, count: int, seed: int, augment: str | None, decoder: Decoder) -> ViewSpec:
    evaluate = Transform.parse(backbone.input.evaluate)
    if augment is None:
        square = evaluate.size is not None and evaluate.size[0] == evaluate.size[1]
        if count > 1 and not square:
            raise ConfigError(f"the default augmentation is square, but {evaluate} is not; give --augment")
        side = evaluate.size[0] if evaluate.size else 0
        augment = f"random_resized_crop({side},scale=0.35..1)|flip|jitter(0.2)" if square else str(evaluate)
    spec = ViewSpec(count, seed, evaluate, Transform.parse(augment), decoder)
    if decoder == "nvjpeg":
        for view in range(min(count, 2)):
            check_on_gpu(spec.transform(view))
    return spec


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
