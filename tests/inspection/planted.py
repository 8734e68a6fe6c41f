"""Small photographs with mistakes in them that were made on purpose: leaks, copies, labels that were changed, an odd one."""

import csv

import numpy as np
from PIL import Image, ImageOps

CLASSES = ("bird", "cat", "dog")
PER_CLASS = 24
LEAKS = {"mirrored": "bird/001.png", "recompressed": "cat/002.png", "cropped": "dog/003.png"}
SAME_BYTES = "dog/004.png"
MISLABELLED = ("cat/bird.png", "dog/cat.png")
ODD = "cat/checkers.png"


def planted(root, seed=0):
    """Blobs of colour, in the mean that of their class, 24 images each; `root` gets `photos` and `splits.csv`."""
    random, photos = np.random.default_rng(seed), root / "photos"
    for index, name in enumerate(CLASSES):
        (photos / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            _blobs(random, index).save(photos / name / f"{number:03d}.png")
    for what, source in LEAKS.items():
        image = Image.open(photos / source)
        if what == "mirrored":
            image = ImageOps.mirror(image)
        elif what == "cropped":
            image = image.crop((2, 2, 46, 46))
        image.save(_copy(photos, source, what), quality=80)
    (photos / "dog" / "same.png").write_bytes((photos / SAME_BYTES).read_bytes())
    _blobs(random, 0).save(photos / MISLABELLED[0])
    _blobs(random, 1).save(photos / MISLABELLED[1])
    squares = np.indices((48, 48)).sum(axis=0) // 3 % 2 * 255
    Image.fromarray(np.repeat(squares[..., None], 3, axis=2).astype(np.uint8)).save(photos / ODD)
    with (root / "splits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "split"))
        for path in sorted(photos.rglob("*.*")):
            name = path.relative_to(photos).as_posix()
            writer.writerow(
                (name, "test" if path.stem in LEAKS or (path.stem >= "016" and path.stem < "024") else "train")
            )
    return photos


def _copy(photos, source, what):
    return (photos / source).with_name(f"{what}.jpg")


def _blobs(random, index):
    small = random.uniform(0, 160, (6, 6, 3))
    small[..., index] += 95
    return Image.fromarray(small.astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
