"""Deployment: a backbone and its adapters as one program that runs without udta. The public call is `udta.export_model`.

export_model   the call: program, file, check, and only then its name
_program       8-bit images to answers of every adapter, as one module
_runtimes      what the file may be, and how it is written and run
_photographs   the images that it is tried on
_agreement     whether it says the same as what it was made of
_description   what the file says of itself
"""
