"""Evaluation: from adapters to figures and predictions. The public calls are `udta.evaluate`, `parity`, `predict`.

measure       evaluate: one adapter on one split of a store, and what else is asked of it
_comparison   two adapters on the same images
_tables       predictions and confusions, for people
parity        the cache against the live backbone
predict       new images through the backbone, to any number of adapters
estimator     the scikit-learn face
"""
