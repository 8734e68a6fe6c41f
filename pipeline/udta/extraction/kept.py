"""Asking for less than a store holds is asking for what it holds: nothing of it is thrown away, nor computed again.

A tap or a view that is stored but not asked for stays, and images that come get it too, since all rows of a store have the same
taps and views.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from udta.backbones import TapRequest, resolve_taps
from udta.backbones.reducers import Reducer
from udta.errors import ConfigError
from udta.extraction.request import Request, examined, feature_fingerprint
from udta.images import ViewSpec
from udta.store import Layout, known_layout, only_more


def with_what_is_kept(request: Request, path: Path) -> Request:
    """The request with the taps and views of the store at `path` beside its own; unchanged where there is no such store."""
    stored, goes_on = known_layout(path, request.layout)
    if stored is None or goes_on or set(stored.fingerprint.fields) != set(request.layout.fingerprint.fields):
        return request
    try:
        wider = _wider(request, stored)
    except (ConfigError, KeyError, TypeError, ValueError):  # fields of a store that was made otherwise: it is refused
        return request
    return wider if only_more(stored.fingerprint, wider.layout.fingerprint) else request


def _wider(request: Request, stored: Layout) -> Request:
    views, taps = request.views, request.layout.taps
    if stored.n_views > views.count:
        # Nothing but view 0 was asked for, so that no augmentation was.
        alone = views.count == 1
        views = ViewSpec.from_fields(stored.fingerprint.fields) if alone else replace(views, count=stored.n_views)
    more = [TapRequest(name, Reducer.parse(tap.reducer)) for name, tap in stored.taps.items() if name not in taps]
    if more:
        asked = [TapRequest(name, Reducer.parse(tap.reducer)) for name, tap in taps.items()]
        specs = resolve_taps(request.backbone, [*asked, *more], request.taps[0].dtype)
        taps = {tap.name: tap for tap in specs}
    fingerprint = feature_fingerprint(
        request.backbone, tuple(taps.values()), views, request.compute, request.taps[0].dtype
    )
    layout = replace(request.layout, taps=taps, n_views=views.count, fingerprint=fingerprint)
    if more:
        allowed = bool(stored.impure)
        found = examined(request.backbone, tuple(taps.values()), request.compute, request.device, allow_impure=allowed)
        layout = replace(layout, **found)
    kept = [f"tap {request.name!r}" for request in more]
    kept += [f"{views.count} views" if views.count > request.views.count else ""]
    return replace(request, views=views, layout=layout, kept=tuple(filter(None, kept)))
