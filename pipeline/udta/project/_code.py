"""Which code decides the result of a stage: DVC runs a stage again when another version of udta would give another result.

A project has no sources of ours that it could depend on, and the number of a version says too little (an installation from a
clone has the same for years) and too much (a new word in a help text would train everything anew). So `check` writes what these
sources hash to, and each stage depends on its own line.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from udta.fingerprint import FEATURE_VERSION

PACKAGE = Path(__file__).parent.parent

# By stage: folders and files of the package. A test compares them with what is loaded when a stage ends.
SOURCES = {
    "prepare": ("_files", "fingerprint.py", "images", "project/stages/prepare_stage.py"),
    "train": (
        "_files", "adapters", "fingerprint.py", "images", "labels", "loader", "probe.py", "project/stages/train_stage.py",
        "scoring", "store", "tasks", "training",
    ),
    "evaluate": (
        "_files", "adapters", "backbones", "evaluation", "extraction", "fingerprint.py", "images", "labels", "loader",
        "probe.py", "project/stages/evaluate_stage.py", "scoring", "store", "tasks",
    ),
    "report": (
        "_files", "adapters", "backbones", "evaluation", "explanation", "extraction", "fingerprint.py", "images", "inspection",
        "labels", "loader", "probe.py", "project/stages/report_stage.py", "reporting", "scoring", "store", "tasks",
    ),
}  # fmt: skip


def code_of(stage: str) -> str:
    """A line for each source of a stage with its SHA-256.

    That of `extract` is the feature version alone: which code made a store stands in its fingerprint and probe, and whoever
    changes a feature raises this number.
    """
    if stage == "extract":
        return f"FEATURE_VERSION {FEATURE_VERSION}\n"
    return "".join(f"{_digest(PACKAGE / source)}  {source}\n" for source in SOURCES[stage])


def _digest(source: Path) -> str:
    # By suffix: byte code lies beside sources, and is another on every machine. safetensors: the offline backbone's weights; the
    # others: what a page is made of.
    kinds = (".py", ".safetensors", ".css", ".jinja")
    files = sorted(path for path in source.rglob("*") if path.suffix in kinds) if source.is_dir() else [source]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
