"""What is wrong with images and labels, of each store that can be looked through."""

from __future__ import annotations

from udta.errors import UdtaError
from udta.inspection.inspect import inspect
from udta.reporting._material import Material
from udta.reporting._page import Block, Heading, Missing
from udta.reporting._thumbnails import Thumbnails
from udta.reporting.sections.inspected import inspected

_MOST_STORES = 8


def data(material: Material) -> list[Block]:
    """An inspection of each store; nothing where none was asked for."""
    if not material.inspect:
        return []
    blocks: list[Block] = []
    for number, store in enumerate(material.stores[:_MOST_STORES]):
        # Two stores may have one name, in folders of their backbones.
        twice = sum(other.path.name == store.path.name for other in material.stores) > 1
        title = f"{store.path.parent.name}/{store.path.name} ({number + 1})" if twice else store.path.name
        blocks.append(Heading(title))
        try:
            blocks += inspected(inspect(store, device=material.device), Thumbnails(store, material.images), title)
        except (UdtaError, OSError) as error:
            blocks.append(Missing(f"{title} was not looked through: {error}"))
    if len(material.stores) > _MOST_STORES:
        blocks.append(Missing(f"{len(material.stores) - _MOST_STORES} more stores were not looked through."))
    return blocks
