"""Tiny copies of the built-in datasets, in the files and formats of the original archives.

`LAYOUTS[name](base)` writes one below `base` and returns what a reader must find: (path below base, class, split) in row order.
"""

import json

import numpy as np
from PIL import Image
from scipy.io import savemat


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = tuple(sum(path.name.encode()) * factor % 256 for factor in (1, 7, 31))
    Image.new("RGB", (20, 16), colour).save(path, "JPEG")


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def mat(path, **variables):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)


def cells(values, shape):
    """A MATLAB cell array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def flowers102(base):
    """Nine images of three classes; numbers of classes and images start at 1."""
    labels = [77, 1, 102, 77, 1, 102, 1, 1, 77]
    sets = {"trnid": [8, 3, 1], "valid": [2, 4], "tstid": [9, 5, 6, 7]}
    for number in range(1, 10):
        image(base / f"jpg/image_{number:05d}.jpg")
    mat(base / "imagelabels.mat", labels=np.array([labels], np.uint8))
    mat(base / "setid.mat", **{name: np.array([numbers], np.uint16) for name, numbers in sets.items()})
    names = {1: "pink primrose", 77: "passion flower", 102: "blackberry lily"}
    return [
        (f"jpg/image_{number:05d}.jpg", names[labels[number - 1]], split)
        for split, variable in (("train", "trnid"), ("val", "valid"), ("test", "tstid"))
        for number in sets[variable]
    ]


def aircraft(base):
    """Variants have spaces and slashes in their names; other levels and lists are there, as in the archive."""
    rows = {
        "train": [("1025794", "707-320"), ("0034309", "Falcon 2000"), ("0056978", "F/A-18")],
        "val": [("0787226", "Falcon 2000"), ("1481091", "707-320")],
        "test": [("0674300", "F/A-18")],
    }
    data = base / "data"
    text(data / "variants.txt", "707-320", "F/A-18", "Falcon 2000")
    for split, images in rows.items():
        text(data / f"images_variant_{split}.txt", *(" ".join(row) for row in images))
        text(data / f"images_family_{split}.txt", *(f"{number} Boeing 707" for number, _ in images))
        for number, _ in images:
            image(data / f"images/{number}.jpg")
    text(data / "images_variant_trainval.txt", *(" ".join(row) for row in rows["train"] + rows["val"]))
    return [(f"data/images/{number}.jpg", name, split) for split, images in rows.items() for number, name in images]


def cars(base):
    """The devkit's own list of test images has no classes; the list that has them lies beside the devkit."""
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"]
    rows = {"train": [3, 1, 2, 1, 3], "test": [2, 2, 3]}
    files = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    mat(base / "devkit/cars_meta.mat", class_names=cells(names, (1, -1)))
    for split, numbers in rows.items():
        images = [f"{index + 1:05d}.jpg" for index in range(len(numbers))]
        mat(base / files[split], annotations=car_records(images, numbers))
        mat(
            base / f"devkit/cars_{split}_annos.mat",
            annotations=car_records(images, numbers if split == "train" else None),
        )
        for name in images:
            image(base / f"cars_{split}/{name}")
    return [
        (f"cars_{split}/{index + 1:05d}.jpg", names[number - 1], split)
        for split, numbers in rows.items()
        for index, number in enumerate(numbers)
    ]


def car_records(images, numbers):
    """A MATLAB struct array with a bounding box, a class where there is one, and a file name in each record."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *(["class"] if numbers else []), "fname"]
    records = np.empty((1, len(images)), dtype=[(field, object) for field in fields])
    for index, name in enumerate(images):
        records[0, index] = (39, 116, 569, 375, *([np.uint8(numbers[index])] if numbers else []), name)
    return records


def dogs(base):
    breeds = ["n02085620-Chihuahua", "n02099429-curly-coated_retriever", "n02113978-Mexican_hairless"]
    rows = {"train": [(0, 10074), (0, 11140), (1, 1039), (2, 1003)], "test": [(0, 2650), (1, 121), (2, 105)]}
    found = []
    for split, images in rows.items():
        paths = [f"{breeds[breed]}/{breeds[breed].partition('-')[0]}_{number}.jpg" for breed, number in images]
        for path in paths:
            image(base / "Images" / path)
        mat(
            base / f"{split}_list.mat",
            file_list=cells(paths, (-1, 1)),
            annotation_list=cells([path.removesuffix(".jpg") for path in paths], (-1, 1)),
            labels=np.array([[breed + 1] for breed, _ in images], np.uint8),
        )
        found += [(f"Images/{path}", breeds[breed][10:], split) for path, (breed, _) in zip(paths, images, strict=True)]
    return found


def cub200(base):
    """Train and test images alternate in the list."""
    classes = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "200.Common_Yellowthroat"]
    rows = [(0, "1"), (0, "0"), (0, "1"), (1, "0"), (1, "1"), (2, "1"), (2, "0")]
    paths = [f"{classes[bird]}/{classes[bird][4:]}_{number:04d}_18.jpg" for number, (bird, _) in enumerate(rows)]
    for path in paths:
        image(base / "images" / path)
    text(base / "images.txt", *(f"{number} {path}" for number, path in enumerate(paths, 1)))
    text(base / "image_class_labels.txt", *(f"{number} {bird + 1}" for number, (bird, _) in enumerate(rows, 1)))
    text(base / "train_test_split.txt", *(f"{number} {flag}" for number, (_, flag) in enumerate(rows, 1)))
    text(base / "classes.txt", *(f"{number} {name}" for number, name in enumerate(classes, 1)))
    return [
        (f"images/{path}", classes[bird][4:], split)
        for split, wanted in (("train", "1"), ("test", "0"))
        for path, (bird, flag) in zip(paths, rows, strict=True)
        if flag == wanted
    ]


def pets(base):
    """Images that no list names, and files of other kinds beside them, as in the archive."""
    breeds = ["Abyssinian", "american_bulldog", "wheaten_terrier"]
    rows = {"trainval": [(0, 100), (0, 101), (1, 100), (2, 1)], "test": [(0, 201), (1, 12), (2, 190)]}
    for file, images in rows.items():
        lines = [f"{breeds[breed]}_{number} {breed + 1} {1 if breed == 0 else 2} 1" for breed, number in images]
        text(base / f"annotations/{file}.txt", *lines)
        for breed, number in images:
            image(base / f"images/{breeds[breed]}_{number}.jpg")
    image(base / "images/Abyssinian_5.jpg")
    text(base / "images/Abyssinian_101.mat", "no image")
    return [
        (f"images/{breeds[breed]}_{number}.jpg", breeds[breed], {"trainval": "train"}.get(file, file))
        for file, images in rows.items()
        for breed, number in images
    ]


def food101(base):
    rows = {
        "train": ["apple_pie/1005649", "apple_pie/1014775", "waffles/1021"],
        "test": ["apple_pie/1011328", "waffles/9"],
    }
    text(base / "meta/classes.txt", "apple_pie", "waffles")
    text(base / "meta/labels.txt", "Apple pie", "Waffles")
    for split, names in rows.items():
        text(base / f"meta/{split}.txt", *names)
        by_class = {food: [name for name in names if name.startswith(food)] for food in ("apple_pie", "waffles")}
        text(base / f"meta/{split}.json", json.dumps(by_class))
        for name in names:
            image(base / f"images/{name}.jpg")
    return [(f"images/{name}.jpg", name.partition("/")[0], split) for split, names in rows.items() for name in names]


LAYOUTS = {function.__name__: function for function in (aircraft, cars, cub200, dogs, flowers102, food101, pets)}


def found(manifest):
    """What a reader found, in the form of what a layout returns."""
    return [
        (name, manifest.classes[label], split)
        for name, label, split in zip(manifest.ids, manifest.labels, manifest.splits, strict=True)
    ]
