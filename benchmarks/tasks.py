"""Several labels an image, and numbers: adapters against scikit-learn on the same vectors; a section of docs/accuracy.md from it.

    python -m benchmarks.tasks STORES PHOTOS [--seeds 5]

STORES holds a store a set, with a MobileNetV2's default taps, PHOTOS the photographs that they are of. Both sides are given view
0 of the last tap: 1,280 numbers an image; `udta` reads the store of the same images besides. A seed draws which half of all
images is trained on, and the initial weights; what a rival regularises is chosen by cross-validation on that half alone, as every
adapter chooses its own.

Labels are the words that at least four of the bird species have in their names, such as `Warbler`, `Black` and `throated`.
Numbers are of the photographs themselves: brightness, contrast (mean and standard deviation of the luminance, 0 to 255) and
colourfulness (Hasler and Suesstrunk 2003, "Measuring colourfulness in natural images", section 7).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import udta
from benchmarks import accuracy_doc
from benchmarks.tasks_doc import ADAPTERS, FEWEST_SPECIES, RESULTS, STORED, Figures
from udta._files.atomic import write_json
from udta.adapters import load_adapter
from udta.scoring import view_answers
from udta.store import relabelled
from udta.tasks.multilabel_metrics import average_precision
from udta.tasks.regression_metrics import regression_metrics

LABELS_OF, NUMBERS_OF = "birds", ("food", "textures")
TARGETS = ("brightness", "contrast", "colourfulness")


def words(store: udta.Store) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of labels, and which image has which, 0 or 1."""
    of_species = [set(name.split("_")) for name in store.classes]
    counts = Counter(word for some in of_species for word in some)
    names = tuple(sorted(word for word, count in counts.items() if count >= FEWEST_SPECIES))
    by_species = np.array([[word in some for word in names] for some in of_species], dtype=int)
    return names, by_species[store.labels]


def measured(photos: Path, store: udta.Store) -> np.ndarray:
    """`TARGETS` of every photograph."""
    return np.array([_of_photograph(photos / name) for name in store.ids.tolist()])


def _of_photograph(file: Path) -> tuple[float, float, float]:
    with Image.open(file) as image:
        image.draft("RGB", (256, 256))
        pixels = np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.BILINEAR), dtype=np.float64)
    red, green, blue = pixels.transpose(2, 0, 1)
    luminance = pixels @ [0.299, 0.587, 0.114]
    opponents = red - green, (red + green) / 2 - blue
    spread, mean = (np.hypot(*(f(each) for each in opponents)) for f in (np.std, np.mean))
    return float(luminance.mean()), float(luminance.std()), float(spread + 0.3 * mean)


def vectors(store: udta.Store) -> np.ndarray:
    """View 0 of the last tap."""
    tap = list(store.taps)[-1]
    values = store.read(store.rows(), taps=[tap], views=[0], dtype="float32")[tap][:, 0]
    return values.reshape(*values.shape[:2], -1).mean(axis=2)


def halves(n: int, strata: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images: one half of each stratum each."""
    order = np.random.default_rng(seed).permutation(n)
    by_stratum = order[np.argsort(strata[order], kind="stable")]
    return np.sort(by_stratum[::2]), np.sort(by_stratum[1::2])


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Over labels."""
    return float(np.mean([average_precision(scores[:, at], truth[:, at] > 0) for at in range(truth.shape[1])]))


def from_store(store: udta.Store, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """What `udta` with its defaults says of view 0 of the images `test`, which are counted as `vectors` counts them."""
    rows = store.rows()
    with tempfile.TemporaryDirectory() as folder:
        udta.train(store, out=folder, adapter=STORED, rows=rows[train], seed=seed, device="cpu")
        return view_answers(load_adapter(Path(folder))[0], store, rows[test], views=[0])[:, 0]


def labels_by_seed(store: udta.Store, seeds: int) -> dict[str, Figures]:
    """The mean average precision of every adapter and of one-vs-rest logistic regression."""
    names, y = words(store)
    x, found = vectors(store), {name: list[float]() for name in (STORED, *ADAPTERS, "scikit-learn")}
    seen = relabelled(store, y.astype(np.float32), names, "multilabel")
    for seed in range(seeds):
        train, test = halves(len(x), store.labels, seed)
        for name in ADAPTERS:
            model = udta.UDTAClassifier(name, random_state=seed, device="cpu").fit(x[train], y[train])
            found[name].append(mean_average_precision(model.decision_function(x[test]), y[test]))
        found[STORED].append(mean_average_precision(from_store(seen, train, test, seed), y[test]))
        folds = StratifiedKFold(3, shuffle=True, random_state=seed)
        each = GridSearchCV(
            LogisticRegression(max_iter=300), {"C": np.logspace(-4, -1, 4)}, cv=folds, scoring="average_precision"
        )
        rival = make_pipeline(StandardScaler(), OneVsRestClassifier(each)).fit(x[train], y[train])
        found["scikit-learn"].append(mean_average_precision(rival.decision_function(x[test]), y[test]))
        print(
            f"labels, seed {seed}: " + ", ".join(f"{name} {values[-1]:.4f}" for name, values in found.items()),
            flush=True,
        )
    return {"map": found}


def numbers_by_seed(store: udta.Store, targets: np.ndarray, seeds: int) -> dict[str, Figures]:
    """R2, mean over targets, of every adapter and of ridge regression."""
    x, found = vectors(store), {name: list[float]() for name in (STORED, *ADAPTERS, "scikit-learn")}
    seen = relabelled(store, targets.astype(np.float32), TARGETS, "regression")
    for seed in range(seeds):
        train, test = halves(len(x), store.labels, seed)
        said = from_store(seen, train, test, seed)
        found[STORED].append(regression_metrics(said[:, None], targets[test], TARGETS)["r2"])
        models = {name: udta.UDTARegressor(name, random_state=seed, device="cpu") for name in ADAPTERS}
        # The same alphas as those of `ridge`, times the number of samples: an image left out at a time, as it does.
        alphas = len(train) * np.logspace(-4, 2, 13)
        models["scikit-learn"] = make_pipeline(StandardScaler(), RidgeCV(alphas))
        for name, model in models.items():
            said = model.fit(x[train], targets[train]).predict(x[test])
            found[name].append(regression_metrics(said[:, None], targets[test], TARGETS)["r2"])
        print(
            f"numbers, seed {seed}: " + ", ".join(f"{name} {values[-1]:.4f}" for name, values in found.items()),
            flush=True,
        )
    return {"r2": found}


def main() -> None:
    """Measure, and write results and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    with threadpool_limits(1):
        birds = udta.open_store(asked.stores / LABELS_OF)
        results = {f"words of {LABELS_OF}": labels_by_seed(birds, asked.seeds)}
        for name in NUMBERS_OF:
            store = udta.open_store(asked.stores / name)
            results[f"photographs of {name}"] = numbers_by_seed(
                store, measured(asked.photos / name, store), asked.seeds
            )
    write_json(RESULTS, results)
    accuracy_doc.main()


if __name__ == "__main__":
    main()
