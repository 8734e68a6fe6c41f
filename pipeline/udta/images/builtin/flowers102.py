"""Oxford Flowers-102 (Nilsback and Zisserman, ICVGIP 2008)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_mat
from udta.images.builtin.dataset import Archive, Builtin, Entry

# Read here, not by torchvision: it refuses `.mat` files whose MD5 is not the one that it has written down, any copy that was
# saved anew, without saying which file it means.
_VARIABLES = {"train": "trnid", "val": "valid", "test": "tstid"}

# The files have numbers only; the names are those of the dataset's web page, in the order of the numbers. Written out although
# torchvision has them too (a test compares): adapters and stores are matched by class names, so that no release of a library may
# change one.
NAMES = (
    "pink primrose",
    "hard-leaved pocket orchid",
    "canterbury bells",
    "sweet pea",
    "english marigold",
    "tiger lily",
    "moon orchid",
    "bird of paradise",
    "monkshood",
    "globe thistle",
    "snapdragon",
    "colt's foot",
    "king protea",
    "spear thistle",
    "yellow iris",
    "globe-flower",
    "purple coneflower",
    "peruvian lily",
    "balloon flower",
    "giant white arum lily",
    "fire lily",
    "pincushion flower",
    "fritillary",
    "red ginger",
    "grape hyacinth",
    "corn poppy",
    "prince of wales feathers",
    "stemless gentian",
    "artichoke",
    "sweet william",
    "carnation",
    "garden phlox",
    "love in the mist",
    "mexican aster",
    "alpine sea holly",
    "ruby-lipped cattleya",
    "cape flower",
    "great masterwort",
    "siam tulip",
    "lenten rose",
    "barbeton daisy",
    "daffodil",
    "sword lily",
    "poinsettia",
    "bolero deep blue",
    "wallflower",
    "marigold",
    "buttercup",
    "oxeye daisy",
    "common dandelion",
    "petunia",
    "wild pansy",
    "primula",
    "sunflower",
    "pelargonium",
    "bishop of llandaff",
    "gaura",
    "geranium",
    "orange dahlia",
    "pink-yellow dahlia?",
    "cautleya spicata",
    "japanese anemone",
    "black-eyed susan",
    "silverbush",
    "californian poppy",
    "osteospermum",
    "spring crocus",
    "bearded iris",
    "windflower",
    "tree poppy",
    "gazania",
    "azalea",
    "water lily",
    "rose",
    "thorn apple",
    "morning glory",
    "passion flower",
    "lotus",
    "toad lily",
    "anthurium",
    "frangipani",
    "clematis",
    "hibiscus",
    "columbine",
    "desert-rose",
    "tree mallow",
    "magnolia",
    "cyclamen",
    "watercress",
    "canna lily",
    "hippeastrum",
    "bee balm",
    "ball moss",
    "foxglove",
    "bougainvillea",
    "camellia",
    "mallow",
    "mexican petunia",
    "bromelia",
    "blanket flower",
    "trumpet creeper",
    "blackberry lily",
)


def read(base: Path) -> Iterator[Entry]:
    """`imagelabels.mat` has the class of image 1, 2, ..., `setid.mat` the numbers of the images of each split."""
    label_of = dict(enumerate(read_mat(base / "imagelabels.mat", "labels").tolist(), start=1))
    name_of = dict(enumerate(NAMES, start=1))
    for split, variable in _VARIABLES.items():
        for number in read_mat(base / "setid.mat", variable).tolist():
            yield Entry(f"jpg/image_{number:05d}.jpg", name_of[label_of[number]], split)


DATASET = Builtin(
    name="flowers102",
    title="Oxford Flowers-102",
    archives=(
        Archive("102flowers.tgz", ("jpg",)),
        Archive("imagelabels.mat", ("imagelabels.mat",)),
        Archive("setid.mat", ("setid.mat",)),
    ),
    read=read,
    folder="flowers-102",
)
