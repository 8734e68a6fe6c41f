"""Datasets that are known by name, with their official splits, read from their archives as they unpack.

registry      the datasets there are, a line each
dataset       what all of them share: where their files are, which archive has each, the order of the rows
annotations   the files in which they list their images: text, MATLAB variables
aircraft      FGVC-Aircraft
cars          Stanford Cars
cub200        CUB-200-2011
dogs          Stanford Dogs
flowers102    Oxford Flowers-102
food101       Food-101
pets          Oxford-IIIT Pet
"""

from udta.images.builtin.registry import BUILTIN

__all__ = ["BUILTIN"]
