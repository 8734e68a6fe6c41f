"""Stages of a project: each reads params.yaml, calls one function of the library, and writes what others depend on.

registry        the stages, a line each, in their order
check_stage     params.yaml is sound; which code, images and weights there are
prepare_stage   images of a dataset -> its manifest
extract_stage   a backbone over a manifest -> a store
train_stage     adapters of a store -> their runs
evaluate_stage  a run -> its figures
report_stage    all figures -> tables
"""

from udta.project.stages.registry import STAGES, StageEntry

__all__ = ["STAGES", "StageEntry"]
