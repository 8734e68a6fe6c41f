"""udta: extract a frozen backbone's features once, train any number of thin adapters from them in seconds.

The library is what the verbs of the command call. Names are loaded on first use, so `import udta` is quick and
`udta --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udta.backbones import Backbone, build_backbone, list_taps
    from udta.errors import UdtaError
    from udta.estimator import UDTAClassifier
    from udta.evaluation import evaluate
    from udta.evaluation.parity import parity
    from udta.exporting import export
    from udta.extraction import extract, extract_many
    from udta.extraction.plan import plan
    from udta.extraction.recompute import recompute
    from udta.loader import Batch, FeatureLoader
    from udta.prediction import predict
    from udta.shots import few_shot
    from udta.store import Store, open_store
    from udta.store.diff import diff_stores
    from udta.store.verify import verify
    from udta.sweeping import sweep
    from udta.training import train

__all__ = [
    "Backbone",
    "Batch",
    "FeatureLoader",
    "Store",
    "UDTAClassifier",
    "UdtaError",
    "build_backbone",
    "diff_stores",
    "evaluate",
    "export",
    "extract",
    "extract_many",
    "few_shot",
    "list_taps",
    "open_store",
    "parity",
    "plan",
    "predict",
    "recompute",
    "sweep",
    "train",
    "verify",
]

_HOME = {
    "Backbone": "backbones",
    "Batch": "loader",
    "FeatureLoader": "loader",
    "Store": "store",
    "UDTAClassifier": "estimator",
    "UdtaError": "errors",
    "build_backbone": "backbones",
    "diff_stores": "store.diff",
    "evaluate": "evaluation",
    "export": "exporting",
    "extract": "extraction",
    "extract_many": "extraction",
    "few_shot": "shots",
    "list_taps": "backbones",
    "open_store": "store",
    "parity": "evaluation.parity",
    "plan": "extraction.plan",
    "predict": "prediction",
    "recompute": "extraction.recompute",
    "sweep": "sweeping",
    "train": "training",
    "verify": "store.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'udta' has no attribute {name!r}")
    return getattr(import_module(f"udta.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
