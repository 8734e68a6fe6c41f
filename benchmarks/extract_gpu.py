"""Extraction on a GPU against the bare backbone and against decoding alone, in one run.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.extract_gpu [--images 20000] [--backbones resnet50,vit_b_16] [--workers 1,2]
        [--out FILE]

FOLDER holds `real/<set>/<class>/*.jpg`, repeated as links until there are enough. View 0 at 224 px, averages of three taps,
float16 store, bf16. *Bare* is the loop without us: the torchvision model in bf16 and channels_last on one batch that stays on
the device, no taps, launched as usual and as a CUDA graph, at our batch of 32 and at 256. *Decode* is reading and decoding alone,
with Pillow in threads and with nvJPEG. The limit of an extraction is the lower one of the bare forward at the same batch and of
its decoder. Writes `benchmarks/results/extract-gpu.json`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

import udta
from benchmarks.extract import computed, decoded, photographs
from benchmarks.real import real_data
from benchmarks.synthetic import versions
from udta._files.atomic import write_json
from udta._machine.cores import n_cores
from udta.backbones import build_backbone
from udta.extraction import FeatureSource, Meter
from udta.extraction._compute import Computer
from udta.extraction._request import Request, make_request
from udta.extraction._work import Effort, items_of
from udta.extraction.decode import open_decoder
from udta.images import DECODERS, Manifest, read_images
from udta.store import BATCH_ROWS

RESULT = Path(__file__).parent / "results" / "extract-gpu.json"
TAPS = {
    "resnet50": "layer2=avg,layer3=avg,layer4=avg",
    "mobilenet_v2": "features.6=avg,features.13=avg,features.18=avg",
    "vit_b_16": "encoder.layers.encoder_layer_5=cls,encoder.layers.encoder_layer_8=cls,encoder.layers.encoder_layer_11=cls",
}
_LARGE, _WARM_UP = 256, 40


def rate(step: Callable[[], Any], images: int, seconds: float = 2.0) -> float:
    """Images per second of a step that is launched again and again."""
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        done += 10 * images
    return done / (time.perf_counter() - started)


def bare(name: str, batch: int) -> dict[str, float]:
    """Images per second of the whole backbone alone, as launched by torch and replayed."""
    module = build_backbone(name).module.to("cuda", torch.bfloat16, memory_format=torch.channels_last)
    pixels = torch.randn(batch, 3, 224, 224, device="cuda", dtype=torch.bfloat16).contiguous(
        memory_format=torch.channels_last
    )
    with torch.inference_mode():
        launched = rate(lambda: module(pixels), batch)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(pixels)
        return {"launched": launched, "replayed": rate(graph.replay, batch)}


def decode(request: Request, rows: int) -> float:
    """Images per second of reading and decoding alone, as the extraction does it; the first batches start processes."""
    source = FeatureSource.of(request, request.taps)
    with closing(open_decoder(source, Effort(), Meter(), len(request.manifest))) as decoder:
        for number, _ in enumerate(decoded(decoder, items_of(range(rows), [0], request.taps))):
            if number == _WARM_UP:
                started = time.perf_counter()
    return (rows - BATCH_ROWS * (_WARM_UP + 1)) / (time.perf_counter() - started)


def forward(request: Request, images: int) -> float:
    """Images per second of our own pass, without decoding: copies there and back, normalisation, taps."""
    source = FeatureSource.of(request, request.taps)
    items = items_of(range(8 * BATCH_ROWS), [0], request.taps)
    with (
        closing(open_decoder(source, Effort(), Meter(), 0)) as decoder,
        closing(Computer(source, {items[0].taps}, Effort(), Meter())) as compute,
    ):
        ready = list(zip(items, decoded(decoder, items), strict=True))
        for _ in computed(compute, ready):
            pass
        started, done = time.perf_counter(), 0
        for batch in computed(compute, islice(cycle(ready), images // BATCH_ROWS)):
            done += len(batch)
        return done / (time.perf_counter() - started)


def measure(name: str, images: Manifest, options: argparse.Namespace) -> dict[str, Any]:
    """One backbone."""
    common: dict[str, Any] = {"backbone": name, "taps": TAPS[name], "device": "cuda"}
    row: dict[str, Any] = {"bare": {str(batch): bare(name, batch) for batch in (BATCH_ROWS, _LARGE)}}
    requests = {decoder: make_request(images, out="unwritten", decoder=decoder, **common) for decoder in DECODERS}
    row["compute"] = requests["pillow"].compute
    row["decode"] = {decoder: decode(request, min(options.images, 8192)) for decoder, request in requests.items()}
    row["forward"] = forward(requests["pillow"], 16384)
    print(name, row, flush=True)
    runs: dict[str, Any] = {}
    kinds = [("pillow", workers, "") for workers in options.workers] + [("nvjpeg", 1, "")]
    for decoder, workers, suffix in kinds + [("pillow", 1, "+compile")] * options.compile:
        rates, reports = [], []
        for _ in range(options.rounds if decoder == "pillow" else 1):
            with tempfile.TemporaryDirectory(prefix="udta-extract-") as scratch:
                report = udta.extract(
                    images,
                    out=Path(scratch) / "store",
                    decoder=decoder,
                    workers=workers,
                    compute="auto" + suffix,
                    **common,
                )
            rates.append(report.images_per_second)
            reports.append(report)
        limits = {"forward": max(row["bare"][str(BATCH_ROWS)].values()), "decode": row["decode"][decoder]}
        limit = min(limits, key=lambda each: limits[each])
        median = statistics.median(rates)
        runs[f"{decoder}, {workers} process{'es' * (workers > 1)}{suffix}"] = {
            "images_per_second": median,
            "rounds": rates,
            "limit": limit,
            "of_limit": median / limits[limit],
            "of_bare_forward": median / limits["forward"],
            "step_seconds": dict(reports[-1].step_seconds),
            "seconds": reports[-1].seconds,
            "peak_memory_bytes": reports[-1].to_json().get("peak_memory_bytes"),
            "compute_error": dict(reports[-1].compute_error),
        }
        print(name, list(runs)[-1], list(runs.values())[-1], flush=True)
    return {**row, "runs": runs}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--backbones", default="resnet50,vit_b_16")
    parser.add_argument("--workers", type=lambda text: [int(word) for word in text.split(",")], default=[1])
    parser.add_argument("--compile", action="store_true", help="measure compiled code, too")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    document: dict[str, Any] = {
        "versions": versions("torchvision", "pillow", "udta"),
        "device": torch.cuda.get_device_name(),
        "cores": n_cores(),
        "images": options.images,
        "batch": BATCH_ROWS,
        "backbones": {},
    }
    with tempfile.TemporaryDirectory(prefix="udta-extract-") as scratch:
        photographs(real_data().resolve(), options.images, Path(scratch) / "images")
        images = read_images(Path(scratch) / "images")
        for name in options.backbones.split(","):
            document["backbones"][name] = measure(name, images, options)
            write_json(options.out, document)
    for name, row in document["backbones"].items():
        for kind, run in row["runs"].items():
            print(
                f"{name:14} {kind:24} {run['images_per_second']:8.0f} images/s = {run['of_limit']:.2f} of {run['limit']} alone,"
                f" {run['of_bare_forward']:.2f} of the bare forward at {BATCH_ROWS}"
            )


if __name__ == "__main__":
    main()
