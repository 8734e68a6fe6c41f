"""Training: from stored rows to an adapter. The public calls are `udta.train`, `sweep` and `fewshot`.

options        everything that a training can be told
train          udta.train: what is asked, one training, what it leaves
_finished      what is asked, and whether a finished run is the answer
_auto          which adapter, where that is left open: a few are cross-validated on the training rows
sources        what is trained on: an adapter of the store's shape, shuffled batches, every view once, pooled vectors
loop           the training loop: what is solved, epochs of steps, the temperature
_learner       what takes a step: one adapter, or many side by side; loss, mixup, and all that changes
_imbalance     what is made up for rare classes, and the shares of classes that probabilities are then for
_temperature   images that are left out, so that probabilities mean what they say
_checkpoint    a killed training goes on: one file for one adapter or many
cost           what it took, and when the cache has paid
_run_folder    the folder that it is left in, and history.csv, which grows meanwhile
_tensorboard   a log for TensorBoard, where one is asked for
_run_report    the adapter's file and metrics.json
few_shot       udta.fewshot: trainings on a few images a class
sweep          udta.sweep: many adapters in one pass over the data
"""
