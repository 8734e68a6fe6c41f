"""Prediction: adapters beside their backbone, on new images. The public calls are `udta.predict`,
`udta.Predictor` and, for features instead of images, `udta.load_adapter`.

predict          files, folders and tables of images to a table of answers
predictor        images as a program has them, one call after another
trained_adapter  features as a program has them, and rows of a store
_shared_pass     one pass of the backbone for all adapters, and that it is theirs
_prediction      what one adapter says of some images
_said            the same as lines of a table
"""

from udta.prediction._prediction import Prediction
from udta.prediction.predictor import Predictor
from udta.prediction.trained_adapter import TrainedAdapter, load_adapter

__all__ = ["Prediction", "Predictor", "TrainedAdapter", "load_adapter"]
