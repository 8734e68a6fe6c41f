"""The operations that a transform string such as `resize(256)|centre_crop(224)` is made of.

op           what an operation is: a frozen value with typed, bounded arguments
pillow_ops   the operations on Pillow images, a class each, and their registry
parse        text -> operations, with every mistake named
gpu_ops      the same operations on a GPU's tensors, for images that were decoded there
"""

from udta.images.ops.op import Op, Size
from udta.images.ops.pillow_ops import FILTERS, OPS, CentreCrop, Resize

__all__ = ["FILTERS", "OPS", "CentreCrop", "Op", "Resize", "Size"]
