"""The photographs of a folder as other inputs: each function writes one and returns what to name as IMAGES."""

import csv
import io
import json
import tarfile

from udta.images import read_images


def table(root, folder):
    with (folder / "photos.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((root / name, label) for name, label in named(root))
    return folder / "photos.csv"


def shards(root, folder, n=3):
    """`n` archives; of every other sample the class is in a `.json` member, which comes last in its archive."""
    rows = named(root)
    for number in range(n):
        members = []
        for name, label in rows[number * len(rows) // n : (number + 1) * len(rows) // n]:
            key = name.rpartition(".")[0]
            members.append((name, (root / name).read_bytes()))
            if len(members) % 3:
                members.append((f"{key}.cls", f"{label}\n".encode()))
            else:
                members.append((f"{key}.json", json.dumps({"label": label, "caption": "a photograph"}).encode()))
        write_tar(folder / f"shard-{number:03d}.tar", members)
    return folder / f"shard-{{000..{n - 1:03d}}}.tar"


def write_tar(path, members, **options):
    with tarfile.open(path, "w", **options) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def named(root):
    """Id and class name of every image, in the order of its rows."""
    manifest = read_images(root)
    return [(name, manifest.classes[label]) for name, label in zip(manifest.ids, manifest.labels, strict=True)]


def parquet(root, folder, *, name="part", first=14):
    """Two files, the first of `first` images, in row groups of a few rows."""
    import pyarrow
    from pyarrow.parquet import write_table

    rows = named(root)
    for number, part in enumerate((rows[:first], rows[first:])):
        images = [{"bytes": (root / path).read_bytes(), "path": path} for path, _ in part]
        columns = {"image": images, "label": [label for _, label in part], "size": [24] * len(part)}
        write_table(pyarrow.table(columns), folder / f"{name}-{number}.parquet", row_group_size=5)
    return folder / f"{name}-{{0..1}}.parquet"


def saved(root, folder):
    """A dataset on the disk, in two Arrow files."""
    import datasets

    rows = named(root)
    classes = datasets.ClassLabel(names=sorted({label for _, label in rows}, reverse=True))
    columns = {
        "image": [{"bytes": (root / name).read_bytes(), "path": None} for name, _ in rows],
        "label": [classes.str2int(label) for _, label in rows],
        "path": [name for name, _ in rows],
    }
    features = datasets.Features(image=datasets.Image(), label=classes, path=datasets.Value("string"))
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder / "dataset", num_shards=2)
    return folder / "dataset"
