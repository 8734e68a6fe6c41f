"""Evaluation: from adapters to figures and predictions.

measure      the public call `evaluate`: one adapter on one split of a store
comparison   two adapters on the same images
tables       predictions and confusions, for people
parity       the cache against the live backbone
predict      the public call `predict`: new images through the backbone, any number of adapters
estimator    the scikit-learn face
"""

from udta.evaluation.measure import evaluate

__all__ = ["evaluate"]
