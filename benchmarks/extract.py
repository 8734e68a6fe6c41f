"""Extraction against its bound and against the loop that people write, in one run.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.extract [--images 2048] [--backbones mobilenet_v2,resnet50] [--rounds 3]
        [--compute float32] [--device cpu] [--memory]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`; ResNet-50 has random weights, which take the same
time. View 0 at 224 px, three taps pooled to 7 x 7. The bound is 1 / (t_decode + t_forward) on a CPU, the slower of both on a GPU:
decoding alone and the backbone alone, with the settings and threads of the extraction, on the same cores. The usual loop is an
eager float32 NCHW model with forward hooks behind a `DataLoader` of two workers that decode with Pillow through torchvision's
transforms, and one `np.savez` at the end, in a process of its own. Rounds take turns, medians are printed. With `--memory`, peak
resident sizes at 2,000 and 20,000 images. Writes `benchmarks/results/extract-<device>.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import udta
from benchmarks.real import BACKBONE, real_data
from benchmarks.real import weights as weights_file
from benchmarks.synthetic import versions
from udta._files.atomic import write_json
from udta._machine.cores import n_cores
from udta._machine.memory import freed_memory_kept
from udta.backbones import build_backbone
from udta.extraction import FeatureSource, Meter
from udta.extraction._compute import Computer, FeatureBatch
from udta.extraction._request import Request, make_request
from udta.extraction._work import Effort, WorkItem, items_of
from udta.extraction.decode import Decoder, Decoding, ThreadDecoder, ViewBatch
from udta.store import BATCH_ROWS

RESULTS = Path(__file__).parent / "results"
TAPS = {
    "mobilenet_v2": "features.6,features.13,features.18",
    "resnet50": "layer2,layer3,layer4",
    "vit_b_16": "encoder.layers.encoder_layer_5,encoder.layers.encoder_layer_8,encoder.layers.encoder_layer_11",
}


class Photographs(Dataset[torch.Tensor]):
    """The usual data set: Pillow, then torchvision's evaluation transform."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with torchvision.datasets.folder.Image.open(self._files[index]) as image:
            tensor: torch.Tensor = self._transform(image.convert("RGB"))
        return tensor


def usual_loop(spec: str, taps: str, files: list[Path], out: Path, device: str) -> float:
    """Images per second; building the model is not counted."""
    module = build_backbone(spec).module.to(device)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in taps.split(",")}
    for name, values in kept.items():
        module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, values=values: values.append(
                torch.nn.functional.adaptive_avg_pool2d(output, 7).cpu().numpy()
                if output.ndim == 4
                else output.cpu().numpy()
            )
        )
    loader = DataLoader(Photographs(files), batch_size=BATCH_ROWS, num_workers=2)
    started = time.perf_counter()
    with torch.no_grad():
        for batch in loader:
            module(batch.to(device))
    np.savez(out, **{name: np.concatenate(values) for name, values in kept.items()})
    return len(files) / (time.perf_counter() - started)


def decoded(decode: Decoder, items: Iterable[WorkItem]) -> Iterator[ViewBatch]:
    """Decoded items, as many ahead as the extraction lets the decoder be."""
    begun: deque[Decoding] = deque()
    for item in items:
        begun.append(decode(item))
        if len(begun) > decode.ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def computed(compute: Computer, work: Iterable[tuple[WorkItem, ViewBatch]]) -> Iterator[FeatureBatch]:
    """Features of batches that are in memory, as many passes at a time as the extraction runs them."""
    begun: deque[Callable[[], FeatureBatch]] = deque()
    for item, views in work:
        begun.append(compute(item, Decoding([], lambda views=views: views)))
        if len(begun) > compute.ahead(item):
            yield begun.popleft()()
    while begun:
        yield begun.popleft()()


def decode_alone(request: Request, rows: int) -> tuple[float, list[tuple[WorkItem, ViewBatch]]]:
    """Images per second of reading and decoding, and some of the batches."""
    items = items_of(range(rows), [0], request.taps)
    kept: list[tuple[WorkItem, ViewBatch]] = []
    started = time.perf_counter()
    with closing(ThreadDecoder(request.manifest, request.views, "fail")) as decode:
        for item, batch in zip(items, decoded(decode, items), strict=True):
            kept = [*kept, (item, batch)] if len(kept) < 4 else kept
    return rows / (time.perf_counter() - started), kept


def forward_alone(request: Request, batches: list[tuple[WorkItem, ViewBatch]], images: int) -> float:
    """Images per second of the backbone on batches that are in memory, as many passes at a time as the extraction runs."""
    source = FeatureSource.of(request, request.taps)

    def work(count: int) -> Iterator[tuple[WorkItem, ViewBatch]]:
        yield from islice(cycle(batches), -(-count // BATCH_ROWS))

    with (
        freed_memory_kept(request.device.type),
        closing(Computer(source, {batches[0][0].taps}, Effort(), Meter())) as compute,
    ):
        for _ in computed(compute, work(2 * BATCH_ROWS * n_cores())):
            pass  # the first passes allocate
        started, done = time.perf_counter(), 0
        for batch in computed(compute, work(images)):
            done += len(batch)
        return done / (time.perf_counter() - started)


def measure(name: str, folder: Path, files: list[Path], options: argparse.Namespace, weights: Path) -> dict[str, Any]:
    """All rates of one backbone, round by round."""
    spec = BACKBONE if name == "mobilenet_v2" else name
    common: dict[str, Any] = {
        "backbone": spec,
        "weights": str(weights) if name == "mobilenet_v2" else "none",
        "taps": TAPS[name],
        "compute": options.compute,
        "device": options.device,
    }
    request = make_request(folder, out="unwritten", **common)
    rates: dict[str, list[float]] = {"decode": [], "forward": [], "bound": [], "udta": [], "usual": []}
    few = min(len(files), options.usual_images)
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="udta-extract-") as scratch:
            decode, batches = decode_alone(request, len(files))
            forward = forward_alone(request, batches, few)
            report = udta.extract(folder, out=Path(scratch) / "store", **common)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:  # the allocator as anybody finds it
                arguments = (spec, TAPS[name], files[:few], Path(scratch) / "usual.npz", str(request.device))
                usual = apart.submit(usual_loop, *arguments).result()
        bound = min(decode, forward) if request.device.type == "cuda" else 1 / (1 / decode + 1 / forward)
        for key, value in zip(rates, (decode, forward, bound, report.images_per_second, usual), strict=True):
            rates[key].append(value)
        print(
            f"{name} round {number + 1}: " + ", ".join(f"{key} {value[-1]:.1f}" for key, value in rates.items()),
            flush=True,
        )
    ratio = [ours / bound for ours, bound in zip(rates["udta"], rates["bound"], strict=True)]
    gain = [ours / usual for ours, usual in zip(rates["udta"], rates["usual"], strict=True)]
    return {
        "images": len(files),
        "compute": request.compute,
        "images_per_second": {key: round(statistics.median(values), 1) for key, values in rates.items()},
        "of_bound": round(statistics.median(ratio), 3),
        "times_usual": round(statistics.median(gain), 2),
        "rounds": {key: [round(value, 1) for value in values] for key, values in rates.items()},
    }


def photographs(real: Path, count: int, folder: Path) -> list[Path]:
    """A folder of links to `count` photographs of all sets, again and again where there are fewer; one class."""
    sources = sorted(real.glob("real/*/*/*.jpg"))
    (folder / "photographs").mkdir(parents=True)
    files = []
    for number, source in zip(range(count), cycle(sources), strict=False):
        files.append(folder / "photographs" / f"{number:06d}.jpg")
        files[-1].symlink_to(source.resolve())
    return files


def memory(real: Path, weights: Path, device: str) -> dict[str, int]:
    """Peak resident bytes of the command, by number of images."""
    peaks = {}
    for count in (2_000, 20_000):
        with tempfile.TemporaryDirectory(prefix="udta-extract-") as scratch:
            photographs(real, count, Path(scratch) / "images")
            command = [
                sys.executable, "-m", "udta", "extract", f"{scratch}/images", "--backbone", BACKBONE, "--weights", str(weights),
                "--taps", TAPS["mobilenet_v2"], "--device", device, "--out", f"{scratch}/store", "--json",
            ]  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True)
            peaks[str(count)] = json.loads(done.stdout)["peak_memory_bytes"]
    return peaks


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument(
        "--usual-images", type=int, default=256, help="images of the usual loop and of the forward alone"
    )
    parser.add_argument("--backbones", default="mobilenet_v2,resnet50")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compute", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    real = real_data().resolve()
    weights = weights_file(real)
    document: dict[str, Any] = {"versions": versions("torchvision", "pillow", "udta"), "cores": n_cores()}
    gpu = torch.cuda.is_available() and options.device != "cpu"
    document["device"] = torch.cuda.get_device_name() if gpu else "cpu"
    if options.memory:  # first: a process counts what its parent had taken until it began (getrusage(2), at exec)
        document["peak_memory_bytes"] = memory(real, weights, options.device)
        print("peak memory", document["peak_memory_bytes"], flush=True)
    with tempfile.TemporaryDirectory(prefix="udta-extract-") as scratch:
        files = photographs(real, options.images, Path(scratch) / "images")
        names = options.backbones.split(",")
        document["backbones"] = {
            name: measure(name, Path(scratch) / "images", files, options, weights) for name in names
        }
    for name, row in document["backbones"].items():
        rates = row["images_per_second"]
        print(
            f"{name:14} {row['compute']:9} udta {rates['udta']:7.1f} images/s = {row['of_bound']:.2f} of the bound"
            f" {rates['bound']:.1f} (decode {rates['decode']:.1f}, forward {rates['forward']:.1f});"
            f" {row['times_usual']:.2f} x the usual loop"
        )
    write_json(RESULTS / f"extract-{'gpu' if gpu else 'cpu'}.json", document)


if __name__ == "__main__":
    main()
