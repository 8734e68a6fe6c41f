"""Inspection: what cached features say about images and labels. The public calls are `udta.inspect` and `udta.similar`.

inspect        every finding, from one look at view 0 of each tap
similar        the nearest neighbours of one image
_inspection    the findings as tables, and their files
_findings       what a line of them says of a row
_vectors       from stored taps to a vector an image, some rows at a time
_axes          principal axes, and numbers along them that weigh alike
_neighbours    the nearest rows of each row, block by block
_copies        pairs of images that are the same photograph
_alignment     whether the maps of such pairs lie upon each other
_held_out      what images are, said by a fit to all others
_suspects      labels that are probably wrong, and answers that are
_class_sizes   classes of which there is too little
_oddities      images unlike all others
_map           a map of all images
"""

from udta.inspection._inspection import Inspection

__all__ = ["Inspection"]
