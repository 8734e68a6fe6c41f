"""udta: extract a frozen backbone's features once, train any number of thin adapters from them in seconds.

The library is what the verbs of the command call. Every verb is a function of the same name. Names are loaded on first use, so
`import udta` is quick and `udta --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udta.adapters import adapters
    from udta.backbones import Backbone, backbones, build_backbone, taps
    from udta.deployment.export_model import export_model
    from udta.diagnosis import doctor
    from udta.errors import UdtaError
    from udta.evaluation.estimator import UDTAClassifier, UDTARegressor
    from udta.evaluation.measure import evaluate
    from udta.evaluation.parity import parity
    from udta.explanation.explain import explain
    from udta.exporting import export
    from udta.extraction.extract import extract
    from udta.extraction.extract_many import extract_many
    from udta.extraction.plan import plan
    from udta.extraction.recompute import recompute
    from udta.inspection.inspect import inspect
    from udta.inspection.similar import similar
    from udta.labels import with_labels
    from udta.loader import Batch, FeatureLoader
    from udta.prediction import Predictor, TrainedAdapter, load_adapter
    from udta.prediction.predict import predict
    from udta.project.add import add_adapter, add_backbone, add_dataset
    from udta.project.init import init
    from udta.reporting.make_report import report
    from udta.store import Store, open_store
    from udta.store.diff import diff
    from udta.store.verify import verify
    from udta.summary import info
    from udta.training.few_shot import fewshot
    from udta.training.sweep import sweep
    from udta.training.train import train

    __version__: str

__all__ = [
    "Backbone",
    "Batch",
    "FeatureLoader",
    "Predictor",
    "Store",
    "TrainedAdapter",
    "UDTAClassifier",
    "UDTARegressor",
    "UdtaError",
    "adapters",
    "add_adapter",
    "add_backbone",
    "add_dataset",
    "backbones",
    "build_backbone",
    "diff",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "export_model",
    "extract",
    "extract_many",
    "fewshot",
    "info",
    "init",
    "inspect",
    "load_adapter",
    "open_store",
    "parity",
    "plan",
    "predict",
    "recompute",
    "report",
    "similar",
    "sweep",
    "taps",
    "train",
    "verify",
    "with_labels",
]

_HOME = {
    "Backbone": "backbones",
    "Batch": "loader",
    "FeatureLoader": "loader",
    "Predictor": "prediction.predictor",
    "Store": "store",
    "TrainedAdapter": "prediction.trained_adapter",
    "UDTAClassifier": "evaluation.estimator",
    "UDTARegressor": "evaluation.estimator",
    "UdtaError": "errors",
    "adapters": "adapters",
    "add_adapter": "project.add",
    "add_backbone": "project.add",
    "add_dataset": "project.add",
    "backbones": "backbones",
    "build_backbone": "backbones",
    "diff": "store.diff",
    "doctor": "diagnosis",
    "evaluate": "evaluation.measure",
    "explain": "explanation.explain",
    "export": "exporting",
    "export_model": "deployment.export_model",
    "extract": "extraction.extract",
    "extract_many": "extraction.extract_many",
    "fewshot": "training.few_shot",
    "info": "summary",
    "inspect": "inspection.inspect",
    "load_adapter": "prediction.trained_adapter",
    "init": "project.init",
    "open_store": "store",
    "parity": "evaluation.parity",
    "plan": "extraction.plan",
    "predict": "prediction.predict",
    "recompute": "extraction.recompute",
    "report": "reporting.make_report",
    "similar": "inspection.similar",
    "sweep": "training.sweep",
    "taps": "backbones",
    "train": "training.train",
    "verify": "store.verify",
    "with_labels": "labels",
}


if not TYPE_CHECKING:  # else a name that is misspelt would be Any

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version  # 30 ms, which no import needs

            return version("udta")
        if name not in _HOME:
            raise AttributeError(f"module 'udta' has no attribute {name!r}")
        home = import_module(f"udta.{_HOME[name]}")
        # A package that has the name of a verb is called itself (`udta._machine.callable_package`).
        return home if name == _HOME[name] else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
