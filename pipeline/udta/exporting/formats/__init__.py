"""The formats of an export. Another one is a file here, with a `Format` in it, and its line in `registry`.

registry      the formats by name
format        what a format says of itself
parquet       one row a sample, a column for each tap and view
npy           one array file for each tap
safetensors   one file with a tensor for each tap
store         a store of ours again, by any of its engines
"""
