"""Prediction: adapters beside their backbone, on new images. The public calls are `udta.predict`,
`udta.Predictor` and, for features instead of images, `udta.load_adapter`.

predict             files, folders and tables of images to a table of answers
predictor           images as a program has them, one call after another
trained_adapter     features as a program has them, and rows of a store
_shared_pass        one pass of the backbone for all adapters, and that it is theirs
_prediction         what one adapter says of some images
_answers            what all of them say of a batch, and which images have no answer
_table_lines        the same as lines of a table, and its columns
_row_bytes          lines as bytes, CSV or Arrow, and the table that becomes of them
_unfinished_table   the table while it grows, and how it is gone on with
_reopened           its files, opened again with care
_passing_lines      in place of it, memory or a stream
_predict_report     what was done, and the table
"""

from udta.prediction._prediction import Prediction
from udta.prediction.predictor import Predictor
from udta.prediction.trained_adapter import TrainedAdapter, load_adapter

__all__ = ["Prediction", "Predictor", "TrainedAdapter", "load_adapter"]
