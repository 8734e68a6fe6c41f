"""From the options of extractions to everything that they need, with all mistakes of all of them reported at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from udta._files.paths import local_path
from udta._files.validation import Mark
from udta.backbones import (
    Backbone,
    build_backbone,
    check_pure,
    fitting_memory_format,
    probe_backbone,
    requests_for,
    resolve_compute,
    resolve_device,
    resolve_taps,
)
from udta.errors import ConfigError, Problems, did_you_mean
from udta.extraction._chosen_taps import ChosenTaps, TapsReport, choose_taps
from udta.extraction.options import ExtractOptions
from udta.fingerprint import FEATURE_VERSION, Fingerprint, TapSpec
from udta.images import Manifest, PixelSpec, Transform, ViewSpec, Window, read_images
from udta.images.ops.gpu_ops import check_on_gpu
from udta.probe import Probe
from udta.store import Layout, default_block_rows, known_layout, only_more

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is extracted, with what, and how it will lie in the store; `kept` names what the store holds beyond what was asked."""

    options: ExtractOptions
    manifest: Manifest
    backbone: Backbone
    views: ViewSpec
    chosen: ChosenTaps
    layout: Layout
    compute: str
    device: torch.device
    kept: tuple[str, ...] = ()

    @property
    def taps(self) -> tuple[TapSpec, ...]:
        """What is stored of an image, in execution order."""
        return tuple(self.layout.taps.values())

    @property
    def taps_report(self) -> TapsReport:
        """Those taps as they are reported."""
        return TapsReport.of(self.chosen, self.taps, self.options.budget)


def make_request(images: str | Path | Manifest, **options: Any) -> Request:
    """The request for one store; arguments and errors are those of `extract`."""
    return make_requests(images, [{}], **options)[0]


def make_requests(images: str | Path | Manifest, stores: Sequence[Mapping[str, Any]], **common: Any) -> list[Request]:
    """Read the images, build the backbones and lay out the stores, over one manifest.

    Args:
        images: as `extract` takes them.
        stores: the options of each store that are its own.
        **common: `ExtractOptions` of all stores, but for those that give their own.

    Raises:
        ConfigError: everything that is wrong with the options of any store; with the name of the backbone, where it is not wrong
            with all of them.
        DataError, ImageError, BackboneError, StoreError: as `extract`.
    """
    # Where a store's own option is given for all, a store that says something else has the last word.
    given = [{**common, **store} for store in stores]
    _check_names(stores, given)
    options = _of_each(ExtractOptions.checked, given, given)
    # Every file is read for its hash: once for all stores, and not before the options are known to be right.
    manifest = images if isinstance(images, Manifest) else _read(images, options[0])
    requests = _of_each(partial(_request, manifest), options, given)
    return [_with_what_is_kept(request) for request in requests]


def feature_fingerprint(
    backbone: Backbone, taps: tuple[TapSpec, ...], views: ViewSpec, compute: str, dtype: str
) -> Fingerprint:
    """Everything that decides the feature values."""
    return Fingerprint(
        {
            "feature_version": FEATURE_VERSION,
            "backbone": backbone.fingerprint_fields(),
            "input": {
                "evaluate": str(views.evaluate),
                "mean": list(backbone.input.mean),
                "std": list(backbone.input.std),
                # Stores of before there was another decoder or window have no such field, and shall not be stale for that.
                **({} if views.decoder == "pillow" else {"decoder": views.decoder}),
                **({} if views.pixels.window.is_auto else {"window": str(views.pixels.window)}),
            },
            "taps": {tap.name: tap.identity for tap in taps},
            "views": views.to_json(),
            "compute": compute,
            "dtype": dtype,
        }
    )


def _check_names(stores: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> None:
    """What a store may be given, has to be, and where it may lie beside the others. Raises `ConfigError`."""
    own = ExtractOptions.marked(Mark.OF_A_STORE, Mark.REPEATED)
    problems = Problems()
    if not stores:
        problems.add("no store is asked for: give at least one, with backbone and out")
    for number, (store, options) in enumerate(zip(stores, given, strict=True), start=1):
        which = f"store {number}: " if len(stores) > 1 else ""
        for name in sorted(store.keys() - set(own)):
            problems.add(f"{which}{name!r} is no option of a single store; {did_you_mean(name, own)}")
        for name, field in ExtractOptions.model_fields.items():
            if field.is_required() and name not in options:
                problems.add(f"{which}{name} is missing")
    found = [problems.collect(local_path, "out", options["out"]) for options in given if "out" in options]
    # Resolved: `a/../b` and a link are the same place as `b`.
    folders = [folder.resolve() for folder in found if folder is not None]
    for number, folder in enumerate(folders):
        for other in folders[:number]:
            if folder == other:
                problems.add(f"two stores are to be written to {folder}: give each an out of its own")
            elif folder in other.parents or other in folder.parents:
                problems.add(f"one store would lie inside another, {folder} and {other}: give each a place of its own")
    problems.raise_any()


def _of_each(make: Callable[[S], T], stores: Sequence[S], given: Sequence[Mapping[str, Any]]) -> list[T]:
    """What is made of each store. Raises `ConfigError`: what is wrong with all of them once, with one of them under its name."""
    made, found = [], []
    for store in stores:
        problems = Problems()
        made.append(problems.collect(make, store))
        found.append(problems.found)
    # A device that is not there is one problem, however many stores were to be made on it.
    everywhere = [problem for problem in found[0] if all(problem in others for others in found)]
    named = [
        problem if len(given) == 1 else f"backbone {_name(options['backbone'])} for {options['out']}: {problem}"
        for options, problems_of_one in zip(given, found, strict=True)
        for problem in problems_of_one
        if problem not in everywhere
    ]
    if everywhere or named:
        raise ConfigError([*everywhere, *named])
    return [one for one in made if one is not None]


def _name(backbone: str | Backbone) -> str:
    return backbone.factory if isinstance(backbone, Backbone) else backbone


def _read(images: str | Path, options: ExtractOptions) -> Manifest:
    # Of whichever store: none of these is a store's own.
    return read_images(images, splits=options.splits, seed=options.seed, on_error=options.on_error)


def _request(manifest: Manifest, options: ExtractOptions) -> Request:
    """Build one backbone and lay out its store. Raises `ConfigError`, `BackboneError`."""
    device = resolve_device(options.device)
    compute = resolve_compute(options.compute, device)
    if isinstance(options.backbone, Backbone):
        backbone = options.backbone
    else:
        backbone = build_backbone(options.backbone, options.weights, evaluate=options.transform)
    # One that was built elsewhere comes in whatever state; batch statistics would make features depend on their batch.
    backbone.check_frozen()
    views = _view_spec(backbone, options)
    chosen = choose_taps(backbone, options)
    taps = chosen.specs
    layout = Layout(
        ids=manifest.ids,
        labels=manifest.labels,
        splits=manifest.splits,
        classes=manifest.classes,
        taps={tap.name: tap for tap in taps},
        n_views=views.count,
        # By size alone, so that the same options make the same blocks anywhere: resuming counts in them.
        block_rows=default_block_rows(taps, views.count, len(manifest)),
        fingerprint=feature_fingerprint(backbone, taps, views, compute, options.dtype),
        split_rule=manifest.split_rule,
        codec=options.codec,
        **_examined(backbone, taps, compute, device, allow_impure=options.allow_impure),
        source={"images": manifest.contents.source, **backbone.source, **chosen.source},
    )
    return Request(options, manifest, backbone, views, chosen, layout, compute, device)


def _view_spec(backbone: Backbone, options: ExtractOptions) -> ViewSpec:
    evaluate, augment = Transform.parse(backbone.input.evaluate), options.augment
    if augment is None:
        square = evaluate.size is not None and evaluate.size[0] == evaluate.size[1]
        if options.views > 1 and not square:
            raise ConfigError(f"the default augmentation is square, but {evaluate} is not; give --augment")
        side = evaluate.size[0] if evaluate.size else 0
        colours = "|jitter(0.2)" if backbone.input.channels == 3 else ""
        augment = f"random_resized_crop({side},scale=0.35..1)|flip{colours}" if square else str(evaluate)
    pixels = PixelSpec(backbone.input.channels, Window.parse(options.window))
    views = ViewSpec(options.views, options.seed, evaluate, Transform.parse(augment), options.decoder, pixels)
    if options.decoder == "nvjpeg":
        # View 0 has a transform of its own, all others share one.
        for view in range(min(views.count, 2)):
            check_on_gpu(views.transform(view))
    return views


def _examined(
    backbone: Backbone, taps: tuple[TapSpec, ...], compute: str, device: torch.device, *, allow_impure: bool
) -> dict[str, Any]:
    """The fields of a layout that tell how a backbone behaves when it runs. Raises `BackboneError` where that is not allowed."""
    impure = check_pure(backbone, taps, compute, device, allowed=allow_impure)
    # Of a backbone that gives something else each time there is nothing to compare with later.
    probe = Probe() if impure else probe_backbone(backbone, taps, compute, device)
    memory_format = fitting_memory_format(backbone, taps, compute, device, probe)
    return {"probe": probe, "memory_format": memory_format, "impure": impure}


def _with_what_is_kept(request: Request) -> Request:
    """The request with the taps and views beside its own that the store has already; unchanged where there is no such store.

    Asking for less than a store holds is asking for what it holds: nothing of it is thrown away, nor computed again. A tap or a
    view that is stored but not asked for stays, and images that come get it too, since all rows of a store have the same.
    """
    if request.options.if_stale == "replace":
        return request
    # Without the writer's lock: should another one change the store meanwhile, opening it for writing compares once more.
    stored, goes_on = known_layout(request.options.out, request.layout)
    if stored is None or goes_on or set(stored.fingerprint.fields) != set(request.layout.fingerprint.fields):
        return request
    try:
        wider = _widened(request, stored)
    except (ConfigError, KeyError, TypeError, ValueError):  # fields of a store that was made otherwise: it is refused
        return request
    return wider if only_more(stored.fingerprint, wider.layout.fingerprint) else request


def _widened(request: Request, stored: Layout) -> Request:
    views, taps = request.views, request.taps
    if stored.n_views > views.count:
        # Nothing but view 0 was asked for, so that no augmentation was.
        alone = views.count == 1
        views = ViewSpec.from_fields(stored.fingerprint.fields) if alone else replace(views, count=stored.n_views)
    # By what is kept and not by its name: of a module that is stored, another reducer is another tap.
    asked = {(tap.module, tap.reducer) for tap in taps}
    more = [tap for tap in stored.taps.values() if (tap.module, tap.reducer) not in asked]
    # All together, because taps lie in the order in which the backbone computes them.
    wanted = requests_for((*taps, *more))
    taps = resolve_taps(request.backbone, wanted, request.options.dtype, stored.taps.values())
    layout = replace(
        request.layout,
        taps={tap.name: tap for tap in taps},
        n_views=views.count,
        fingerprint=feature_fingerprint(request.backbone, taps, views, request.compute, request.options.dtype),
    )
    if taps != request.taps:
        # The store's own decision on a backbone that is impure holds for its taps, whatever this request allows.
        allowed = bool(stored.impure) if more else request.options.allow_impure
        layout = replace(
            layout, **_examined(request.backbone, taps, request.compute, request.device, allow_impure=allowed)
        )
    kept = [f"tap {tap.name!r}" for tap in more]
    kept += [f"{views.count} views"] if views.count > request.views.count else []
    return replace(request, views=views, layout=layout, kept=tuple(kept))
