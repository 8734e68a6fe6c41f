"""Readers: what IMAGES may be, and which images, classes and splits each of them means.

registry        the readers there are, a line each; which of them takes what a user named
webdataset      tar archives, a sample for each key
parquet_images  tables that hold the images themselves
hf_datasets     datasets of Hugging Face, on the disk or by name
folders         a folder: a sub-folder per class, split folders with classes below, or flat
dataset_names   `name:folder`, a built-in dataset and where its files are
image_tables    a CSV or Parquet file with a row per image
text_lists      a `.txt` file with a path a line; it has no classes

_shard_names    several files at once: a folder of them, braces, wildcards
_tar_members    where in an archive its members are
_parquet_cells  cells of Parquet files, in order
_arrow_images   cells of Arrow files that are mapped into memory
_open_files     files of which pieces are read, each opened once

What a reader is, and the listing that it gives, stands in `udta.images._listing`.
"""

from udta.images.readers._shard_names import shard_paths
from udta.images.readers.registry import READERS, find_reader, refusal

__all__ = ["READERS", "find_reader", "refusal", "shard_paths"]
