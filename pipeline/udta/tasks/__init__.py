"""Tasks: what is asked of images, and so what training aims at and what a good answer is. Adapters and scoring stand on this.

task                    what every task says: targets, loss, what a right prediction is, what calibrates it, figures of merit
registry                tasks by name
multiclass              one class of several
multilabel              any number of labels an image
regression              one number or several
calibration             the scale or temperature that makes scores of classes probabilities
binary_calibration      the same, and thresholds, for labels that are there or not
classification_metrics  figures of merit of a classifier, with intervals
multilabel_metrics      figures of merit of several labels an image
regression_metrics      figures of merit of numbers
"""

from udta.tasks.registry import FIGURE_NAMES, TASKS, find_task
from udta.tasks.task import Rescaling, Task

__all__ = ["FIGURE_NAMES", "TASKS", "Rescaling", "Task", "find_task"]
