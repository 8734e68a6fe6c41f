"""Evaluation: from adapters to figures. The public calls are `udta.evaluate` and `parity`.

measure            evaluate: one adapter on one split of a store, and what else is asked of it
outcome            what one run says about rows
_comparison        two adapters on the same images
_tables            predictions and confusions, for people
parity             the cache against the live backbone
estimator          the scikit-learn face
_sklearn_adapter   what its estimators share
_array_batches     arrays as what a training reads
"""
