"""Rare classes: what each way to make up for them does, alone and in a sweep, and which shares its probabilities are for."""

import json

import numpy as np
import pytest
import torch
from made_stores import make_hashes, make_layout, random_features
from sklearn.utils.class_weight import compute_class_weight

import udta
from udta.adapters import Recipe, load_adapter
from udta.errors import ConfigError
from udta.scoring import view_answers, view_logits
from udta.store import StoreWriter
from udta.tasks import find_task
from udta.tasks.calibration import fit_temperature
from udta.training._auto import recipe_changes
from udta.training._imbalance import Balance, prior_of
from udta.training._learner import Learner

CLASSES = ("often", "seldom", "rare")
COUNTS = (48, 12, 4)
METHODS = {
    "weights": {"class_weights": "balanced"},
    "sampling": {"sampling": "balanced"},
    "adjustment": {"logit_adjustment": 1.0},
    "costs": {"class_weights": {"seldom": 4.0, "rare": 12.0}},  # what balances these counts
}
FAST = {"epochs": 10, "batch_size": 16, "lr": 0.1, "weight_decay": 3.0, "label_smoothing": 0.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Features that say nothing of the classes: the best that can be said of an image is the shares of classes."""
    labels = np.concatenate([np.repeat(np.arange(3), COUNTS), np.arange(30) % 3])
    layout = make_layout(
        len(labels), labels=labels, classes=CLASSES, splits=("train",) * sum(COUNTS) + ("test",) * 30, block_rows=16
    )
    path, rng = tmp_path_factory.mktemp("imbalance") / "s", np.random.default_rng(0)
    with StoreWriter(path, layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            start, stop = layout.block_range(block)
            shapes = {tap.name: (stop - start, 2, *tap.shape) for tap in layout.taps.values()}
            writer.write(
                block, {name: random_features(rng, shape, layout.taps[name].dtype) for name, shape in shapes.items()}
            )
    return udta.open_store(path)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """A run of each method and of the plain recipe, of one adapter that reads maps, and of a closed form; all in one sweep."""
    entries = {name: {"adapter": "linear", "recipe": {**FAST, **recipe}} for name, recipe in METHODS.items()}
    entries |= {"plain": {"adapter": "linear", "recipe": FAST}}
    entries |= {"ladder-sampling": {"adapter": "ladder", "recipe": {**FAST, "epochs": 1, **METHODS["sampling"]}}}
    entries |= {
        "ridge": {"adapter": "ridge"},
        "ridge-adjustment": {"adapter": "ridge", "recipe": METHODS["adjustment"]},
    }
    out = tmp_path_factory.mktemp("runs") / "sweep"
    udta.sweep(store, adapters={"adapters": entries}, out=out, validation=0)
    return out / "runs"


def shares(run, store):
    """The mean probabilities of the test images."""
    return np.exp(view_answers(load_adapter(run)[0], store, store.rows("test"))[:, 0]).mean(axis=0)


def test_balanced_weights_are_those_of_scikit_learn_and_one_on_average():
    labels = np.repeat(np.arange(3), COUNTS)
    found = Balance.of(Recipe(1, class_weights="balanced"), labels, CLASSES).weights
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    given = Balance.of(Recipe(1, class_weights=(("rare", 7.0),)), labels, CLASSES).weights
    np.testing.assert_allclose(given / given[0], [1, 1, 7], rtol=1e-6)
    assert float(given[labels].mean()) == pytest.approx(1)


@pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS)
def test_a_class_without_an_image_is_no_harm(recipe):
    found = Balance.of(Recipe(1).override(recipe), np.array([0, 0, 0, 2]), CLASSES)
    assert all(values.isfinite().all() for values in vars(found).values())
    assert float(found.log_prior[1]) == 0


def test_a_step_is_that_of_the_weighted_and_adjusted_loss():
    labels = torch.tensor([0, 0, 0, 1, 2, 0])
    weights, log_prior = torch.tensor([0.5, 2.0, 4.0]), torch.tensor([0.0, -1.0, -2.0])
    logits = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))

    class Fixed:
        vectorised, taps_used, task = False, (), find_task("multiclass")
        parameters = {"logits": torch.zeros(6, 3, requires_grad=True)}

        def targets(self, labels):
            return self.task.targets(labels, 3)

        def __call__(self, values):
            return logits + self.parameters["logits"][None]

    class Batch:
        taps, rows = {}, torch.arange(6)

    Batch.labels = labels
    recipe = Recipe(epochs=1, label_smoothing=0.2)
    learner = Learner(
        Fixed(), [recipe], [Balance(weights, log_prior, weights)], n_batches=1, seed=0, device=torch.device("cpu")
    )
    learner.step(Batch())
    each = torch.nn.functional.cross_entropy(logits[0] + log_prior, labels, reduction="none", label_smoothing=0.2)
    assert float(learner.progress.loss) / 6 == pytest.approx(float((weights[labels] * each).mean()))
    # What an epoch tells of accuracy is of the logits that predictions are made of.
    assert int(learner.progress.correct) == int((logits[0].argmax(1) == labels).sum())


@pytest.mark.parametrize("name", METHODS)
def test_probabilities_are_for_the_shares_that_are_stated(store, runs, name):
    """Of images that nothing is known of: the shares of training where nothing is made up for, equal ones otherwise."""
    assert shares(runs / "plain", store)[0] > 0.6
    np.testing.assert_allclose(shares(runs / name, store), 1 / 3, atol=0.05)
    metrics = {run: json.loads((runs / run / "metrics.json").read_text()) for run in ("plain", name)}
    assert metrics["plain"]["prior"] == "training"
    assert metrics[name]["prior"] == ("weighted" if name == "costs" else "uniform")
    assert load_adapter(runs / name)[1].training["prior"] == metrics[name]["prior"]


@pytest.mark.parametrize("name", ["costs", "sampling", "adjustment", "ladder-sampling"])
def test_a_sweep_trains_what_single_training_trains(store, runs, tmp_path, name):
    adapter, _, method = name.rpartition("-")
    recipe = {**FAST, **({"epochs": 1} if adapter else {}), **METHODS[method]}
    udta.train(store, out=tmp_path / "run", adapter=adapter or "linear", recipe=recipe)
    found = [view_answers(load_adapter(run)[0], store, store.rows()) for run in (tmp_path / "run", runs / name)]
    np.testing.assert_allclose(*found, atol=2e-3)


def test_a_closed_form_is_adjusted_afterwards_by_the_shares_of_classes(store, runs):
    plain, adjusted = (
        view_logits(load_adapter(runs / run)[0], store, store.rows("test")) for run in ("ridge", "ridge-adjustment")
    )
    expected = -torch.tensor(COUNTS).float().div(COUNTS[0]).log()
    np.testing.assert_allclose(adjusted - plain, expected.expand_as(plain), atol=1e-5)


def test_the_temperature_is_that_of_classes_as_frequent_as_they_count():
    generator = torch.Generator().manual_seed(0)
    logits, labels = 3 * torch.randn(400, 3, generator=generator), torch.arange(400) % 3
    often = torch.where(labels == 0, 9, 1)
    repeated = fit_temperature(logits.repeat_interleave(often, 0), labels.repeat_interleave(often))
    assert fit_temperature(logits, labels, torch.tensor([9.0, 1.0, 1.0])) == pytest.approx(repeated, rel=0.03)
    assert fit_temperature(logits, labels, torch.full((3,), 7.0)) == fit_temperature(logits, labels)


def test_a_run_is_another_one_when_what_the_file_of_weights_holds_changes(store, tmp_path):
    weights = tmp_path / "weights.csv"
    asked = {"out": tmp_path / "run", "adapter": "linear", "recipe": {"epochs": 1, "class_weights": str(weights)}}
    weights.write_text("class,weight\nrare,3\n")
    udta.train(store, **asked)
    assert udta.train(store, **asked).found
    weights.write_text("class,weight\nrare,4\n")
    with pytest.raises(udta.UdtaError, match="recipe/class_weights"):
        udta.train(store, **asked)


def test_a_file_of_weights_lies_beside_the_file_of_the_sweep(store, tmp_path):
    (tmp_path / "weights.csv").write_text("class,weight\nrare,3\n")
    text = "adapters: {a: {adapter: linear, recipe: {epochs: 1}, grid: {recipe: {class_weights: [none, weights.csv]}}}}"
    (tmp_path / "sweep.yaml").write_text(text)
    report = udta.sweep(store, adapters=tmp_path / "sweep.yaml", out=tmp_path / "out", validation=0)
    assert [row["class_weights"] for row in report.rows] == ["none", '{"rare": 3.0}']


@pytest.mark.parametrize("adapter", ["linear", "auto"])
def test_a_weight_of_an_unknown_class_is_told_before_anything_is_trained(store, tmp_path, adapter):
    recipe = {"class_weights": {"rar": 2, "oftn": 3}}
    with pytest.raises(ConfigError) as caught:
        udta.train(store, out=tmp_path / "run", adapter=adapter, recipe=recipe)
    assert len(caught.value.problems) == 2
    assert "did you mean 'rare'" in str(caught.value)
    entries = {"a": {"adapter": "linear", "recipe": recipe}}
    with pytest.raises(ConfigError, match=r"adapters\.a: .*did you mean 'rare'"):
        udta.sweep(store, adapters={"adapters": entries}, out=tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_of_all_candidates_concerns_those_that_have_it(store, tmp_path):
    assert recipe_changes("ridge", METHODS["weights"]) == {}
    assert recipe_changes("ridge", METHODS["adjustment"]) == recipe_changes("linear", METHODS["adjustment"])
    options = {"candidates": ["ridge", "linear"], "folds": 2}
    recipe = {"epochs": 1, **METHODS["adjustment"]}
    report = udta.train(store, out=tmp_path / "run", adapter="auto", options=options, recipe=recipe)
    assert {"macro_f1", "balanced_accuracy"} <= report.selection.to_json()["table"][0].keys()


def test_which_shares_they_are():
    assert prior_of(Recipe(1)) == "training"
    assert prior_of(Recipe(1, logit_adjustment=0.5)) == "weighted"
