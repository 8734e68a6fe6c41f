"""What a program says of itself, as JSON: all that somebody needs who has the file and not udta."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from udta.deployment._agreement import CheckReport
from udta.prediction import Predictor

_FORMAT = 1


def description(predictor: Predictor, outputs: Mapping[str, str], report: CheckReport) -> dict[str, Any]:
    """The document.

    Args:
        predictor: what the program was made of.
        outputs: for each of its outputs the path of the adapter.
        report: of the check.
    """
    header = next(iter(predictor.headers.values()))
    height, width, channels = predictor.view_spec.shape
    return {
        "format": _FORMAT,
        "udta": version("udta"),
        "input": {
            "name": "images",
            "dtype": "uint8",
            "layout": "NHWC",
            "shape": ["batch", height, width, channels],
            "channels": "RGB" if channels == 3 else f"{channels} channel(s) as the files have them",
            # What happens before: upright, in sRGB. Mean and deviation are taken off inside.
            "transform": header.fingerprint.text("input", "evaluate"),
        },
        "outputs": [_output(name, predictor, path) for name, path in outputs.items()],
        "backbone": dict(header.fingerprint.fields.get("backbone", {})),
        "arithmetic": "float32",
        "check": report.to_json(),
    }


def _output(name: str, predictor: Predictor, path: str) -> dict[str, Any]:
    adapter, header = predictor.adapters[path], predictor.headers[path]
    thresholds = adapter.thresholds
    found: dict[str, Any] = {
        "name": name,
        "adapter": header.adapter,
        "task": header.task,
        "values": "numbers in the units of the labels" if adapter.task.in_units else "probabilities",
        "classes": list(header.classes),
        "fingerprint": header.fingerprint.digest,
    }
    if thresholds is not None:
        # As probabilities, which is what the program gives.
        found["thresholds"] = (1 / (1 + np.exp(-thresholds.astype(np.float64)))).tolist()
    return found
