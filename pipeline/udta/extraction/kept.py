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
from udta.extraction.request import Setup, examined, feature_fingerprint
from udta.images import ViewSpec
from udta.store import Layout, known_layout, only_more


def with_what_is_kept(setup: Setup, path: Path) -> Setup:
    """The setup with the taps and views of the store at `path` beside those asked for; unchanged where there is no such store."""
    stored, goes_on = known_layout(path, setup.layout)
    if stored is None or goes_on or set(stored.fingerprint.fields) != set(setup.layout.fingerprint.fields):
        return setup
    try:
        wider = _wider(setup, stored)
    except (ConfigError, KeyError, TypeError, ValueError):  # fields of a store that was made otherwise: it is refused
        return setup
    return wider if only_more(stored.fingerprint, wider.layout.fingerprint) else setup


def _wider(setup: Setup, stored: Layout) -> Setup:
    views, taps = setup.views, setup.layout.taps
    if stored.n_views > views.count:
        # Nothing but view 0 was asked for, so that no augmentation was.
        alone = views.count == 1
        views = ViewSpec.from_fields(stored.fingerprint.fields) if alone else replace(views, count=stored.n_views)
    more = [TapRequest(name, Reducer.parse(tap.reducer)) for name, tap in stored.taps.items() if name not in taps]
    if more:
        asked = [TapRequest(name, Reducer.parse(tap.reducer)) for name, tap in taps.items()]
        specs = resolve_taps(setup.backbone, [*asked, *more], setup.taps[0].dtype)
        taps = {tap.name: tap for tap in specs}
    fingerprint = feature_fingerprint(setup.backbone, tuple(taps.values()), views, setup.compute, setup.taps[0].dtype)
    layout = replace(setup.layout, taps=taps, n_views=views.count, fingerprint=fingerprint)
    if more:
        allowed = bool(stored.impure)
        found = examined(setup.backbone, tuple(taps.values()), setup.compute, setup.device, allow_impure=allowed)
        layout = replace(layout, **found)
    kept = [f"tap {request.name!r}" for request in more]
    kept += [f"{views.count} views" if views.count > setup.views.count else ""]
    return replace(setup, views=views, layout=layout, kept=tuple(filter(None, kept)))
