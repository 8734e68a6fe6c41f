"""Stage extract: one backbone over one manifest -> a store, and the small file that training depends on."""

from __future__ import annotations

from udta._console.display import ProgressDisplay
from udta._files.atomic import write_json
from udta.config import Params
from udta.extraction.extract import extract as extract_features
from udta.images import load_manifest
from udta.project._places import features_path, manifest_path, store_path
from udta.project.running import Result


def extract(params: Params, backbone: str, dataset: str) -> Result:
    """Continue or make the store; one that was made from something else is replaced, for `params.yaml` is what is wanted.

    Only features of images that are gone are not thrown away: that takes `prune: true` in the backbone's entry.
    """
    options = {**params.backbones[backbone].model_dump(), "weights": params.weights(backbone)}
    manifest = load_manifest(manifest_path(params, dataset))
    with ProgressDisplay("rows") as progress:
        report = extract_features(
            manifest, out=store_path(params, backbone, dataset), if_stale="replace", progress=progress, **options
        )
    write_json(features_path(params, backbone, dataset), report.to_json())
    return report.to_json(), str(report)
