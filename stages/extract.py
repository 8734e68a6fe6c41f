"""Stage extract: one backbone over one manifest -> a store, and the small file that training depends on."""

from __future__ import annotations

from _common import Params, features_path, run, store_path

from udta import extract as extract_features
from udta._console.display import ProgressDisplay
from udta._console.messages import say
from udta._files.atomic import write_json
from udta.images import load_manifest


def extract(params: Params, backbone: str, dataset: str) -> None:
    """Continue or make the store; one that was made from something else is replaced, for `params.yaml` is what is wanted.

    Only features of images that are gone are not thrown away: that takes `prune: true` in the backbone's entry.
    """
    options = {**params.backbones[backbone].model_dump(), "weights": params.weights(backbone)}
    manifest = load_manifest(params.paths.out / "manifests" / f"{dataset}.json")
    with ProgressDisplay("rows") as progress:
        report = extract_features(
            manifest, out=store_path(params, backbone, dataset), if_stale="replace", progress=progress, **options
        )
    say(str(report))
    write_json(features_path(params, backbone, dataset), report.to_json())


if __name__ == "__main__":
    run(extract, "backbones", "datasets")
