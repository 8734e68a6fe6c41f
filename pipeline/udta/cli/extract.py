"""`udta extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import complete_paths, json_option, summarise
from udta.cli._options import Verb, options_of
from udta.cli._stores import stores_of


@click.command(
    cls=Verb,
    short_help="Compute the features of images once, into a store.",
    epilog="""\b
Example:
  udta extract photos --backbone resnet50 --weights resnet50.pth --out photos.zarr
  udta extract photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr

\b
Two backbones, every image read and decoded once for both:
  udta extract photos --views 5 \\
      --backbone resnet50 --weights resnet50.pth --taps layer4=avg --out resnet50.zarr \\
      --backbone mobilenet_v2 --weights mobilenet.pth --taps features.18=avg --out mobilenet.zarr""",
)
@click.argument("images", shell_complete=complete_paths)
@options_of("udta.extraction.options:ExtractOptions")
@json_option
def extract(images: str, as_json: bool, **options: Any) -> None:
    """Compute the features of IMAGES once and keep them in a store.

    IMAGES is a folder with a sub-folder per class (or train, val and test with those in them) or a flat one, a CSV/Parquet file
    with columns path[,label][,split], a .txt file of paths, Parquet files with the images in them, WebDataset shards
    ('shard-{000..099}.tar'), a dataset of Hugging Face (a folder of save_to_disk, or hf-dataset:ORG/NAME), or name:folder of a
    built-in dataset with its official split: aircraft, cars, cub200, dogs, flowers102, food101, pets.

    Running the same command again continues an interrupted extraction. A store grows when more is asked than it has: other
    images, another tap, more views; one that was made from something else is refused with the difference.

    Without --taps it is the recommended ones (see `udta taps`), within --budget, or those that the store at --out has already.

    --backbone, --weights, --taps, --out, --compute and --transform may be given several times: the k-th of each make the k-th
    store. What is given once holds for all stores, but every store has an --out of its own. --json then prints a list.
    """
    # Here, after everything that click can refuse: it loads torch.
    from udta.extraction.extract import extract as run
    from udta.extraction.extract_many import extract_many

    stores, common = stores_of(options)
    with ProgressDisplay("rows") as progress:
        # `--json` of one store is its document, and no list, whatever machine reads it.
        if len(stores) == 1:
            report = run(images, progress=progress, **stores[0], **common)
            summarise(as_json, report.to_json(), str(report), _following(report.store))
            return
        reports = extract_many(images, stores, progress=progress, **common)
    following = (words for report in reports for words in _following(report.store))
    summarise(as_json, [report.to_json() for report in reports], "\n".join(map(str, reports)), following)


def _following(store: str) -> list[list[str]]:
    from udta.store import open_store

    if not open_store(store).classes:
        return [["udta", "train", store, "--labels", "LABELS.csv", "--out", f"runs/{Path(store).stem}"]]
    return [["udta", "train", store, "--out", f"runs/{Path(store).stem}"]]
