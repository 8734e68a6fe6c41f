"""The `udta` command: a thin layer over the library. A verb is one file, and one line in the registry of `main`.

main              the command: registry of verbs, errors to messages, exit statuses
_common           kinds of arguments, options that several verbs have, `--json`
backbones         udta backbones: what is installed, and what a name would load
taps              udta taps: what can be tapped in a backbone
_options          options of a verb that are those of a model, made when somebody asks
_fields           from the fields of a model to options
_stores           options given k times, for k stores in one command
adapters          udta adapters: which there are, and what can be said to each
plan              udta plan: what an extraction would do
extract           udta extract: images to a store
info              udta info: what a store, a run or a folder of runs is
verify            udta verify: is it still what was written
diff              udta diff: how two stores differ
inspect           udta inspect: mistakes in data and labels
similar           udta similar: the nearest images
export            udta export: a store to other people's formats
train             udta train: a store to an adapter
sweep             udta sweep: many adapters in one pass over the data
evaluate          udta evaluate: figures of an adapter
fewshot           udta fewshot: figures after few images a class
report            udta report: one page of figures and pictures
predict           udta predict: new images to a table of classes
explain           udta explain: where on an image an answer comes from
export_model      udta export-model: backbone and adapters to one program
doctor            udta doctor: is this machine ready, and what to do
completion        udta completion: the script by which a shell completes all of these
init              udta init: a project of one's own
add_dataset       udta add-dataset: one more dataset in it
add_backbone      udta add-backbone: one more backbone
add_adapter       udta add-adapter: one more adapter
stage             udta stage: what a stage of its dvc.yaml does
"""

import os
import sys

# It is read when torch's OpenMP is loaded, so before that: threads that have to wait sleep, instead of keeping cores from those
# that they wait for (`udta._machine.cores`).
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

try:
    from udta.cli.main import main
except KeyboardInterrupt:  # in the tenth of a second before there is anything to interrupt
    raise SystemExit(130) from None

__all__ = ["main"]
