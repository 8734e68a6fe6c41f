"""Files that are there whole or not at all, one writer each, and what in them may be believed.

paths             what a path leads to: a URL, a local file, something that is waited for
leftovers         what this process would leave if it ended now
locks             one writer an output
atomic            files and folders that appear whole or not at all
table_file        CSV and Parquet both ways
tensor_file       tensors with a JSON document and a checksum
adapter_document  what an adapter file says of itself
yaml_file         settings that people write
validation        options and settings as models, and what is wrong with them in sentences
documents         what stands in the JSON of stores and adapters, checked when it is read
names             what a tap, an image, a class or a split may be called
"""
