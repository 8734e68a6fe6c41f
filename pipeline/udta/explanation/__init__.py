"""Explanation: what each position of an image adds to what an adapter says of it.

explain          the public call, on one image
_contributions   the figures: exact, their sum is what the adapter says
_positions       where on the image they lie
_overlay         the same as colours over the photograph
_picture         the file of `udta explain`
"""

from udta.explanation._contributions import Contributions, contributions
from udta.explanation._overlay import overlay

__all__ = ["Contributions", "contributions", "overlay"]
