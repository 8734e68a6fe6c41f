"""`UDTAClassifier` and `UDTARegressor` among scikit-learn's tools, on arrays and on rows of a store."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import udta
from udta import UDTAClassifier, UDTARegressor
from udta.errors import ConfigError
from udta.scoring import view_answers

# Adapters bring recipes for thousands of steps on photographs.
FAST = {"epochs": 6, "lr": 2e-2, "weight_decay": 0.1}


# The quick recipe keeps some two hundred trainings below a minute; no check is expected to fail.
@pytest.mark.slow
@parametrize_with_checks([UDTAClassifier(**FAST), UDTARegressor("ridge")])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    inputs, labels = load_digits(return_X_y=True)
    names = np.array([f"digit {label}" for label in labels])
    return train_test_split(inputs[:600], names[:600], test_size=200, random_state=0, stratify=names[:600])


def test_learns_labels_of_any_type_as_well_as_a_regression(digits):
    train, test, train_labels, test_labels = digits
    found = UDTAClassifier(**FAST).fit(train, train_labels)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(train, train_labels)
    assert found.score(test, test_labels) > reference.score(test, test_labels) - 0.03
    assert found.classes_.tolist() == [f"digit {number}" for number in range(10)]
    probabilities = found.predict_proba(test)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(found.classes_[probabilities.argmax(axis=1)], found.predict(test))
    np.testing.assert_allclose(found.decision_function(test), np.log(probabilities), atol=1e-5)


def test_two_classes_have_one_decision_value(digits):
    train, test, labels, _ = digits
    found = UDTAClassifier(**FAST).fit(train, labels == "digit 3")
    decision = found.decision_function(test)
    assert decision.shape == (200,)
    np.testing.assert_array_equal(found.predict(test), decision > 0)
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), found.predict_proba(test)[:, 1], atol=1e-6)


def test_in_a_pipeline_and_a_grid(digits):
    train, test, train_labels, test_labels = digits
    pipeline = make_pipeline(StandardScaler(), PCA(20), UDTAClassifier(**FAST))
    search = GridSearchCV(pipeline, {"udtaclassifier__weight_decay": [0.1, 40.0]}, cv=2, error_score="raise")
    search.fit(train, train_labels)
    assert search.best_params_ == {"udtaclassifier__weight_decay": 0.1}
    assert search.score(test, test_labels) > 0.8


def test_equal_seeds_give_equal_predictions_also_after_pickling(digits):
    train, test, labels, _ = digits
    models = [UDTAClassifier(epochs=2, mixup=0.2, random_state=seed).fit(train, labels) for seed in (1, 1, 2)]
    first, second, other = (model.predict_proba(test) for model in models)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(models[0])).predict_proba(test), first)


def test_parameters_reach_the_training(digits):
    train, _, labels, _ = digits
    assert UDTAClassifier("udta", options={"width": 3}, epochs=1).fit(train, labels).adapter_.options["width"] == 3
    with pytest.raises(ConfigError, match="epochs"):
        UDTAClassifier(epochs=0).fit(train, labels)
    with pytest.raises(ConfigError, match="did you mean 'linear'"):
        UDTAClassifier("liner").fit(train, labels)


@pytest.mark.parametrize("adapter", ["ridge", "knn"])
def test_closed_forms_work_too(digits, adapter):
    train, test, train_labels, test_labels = digits
    assert UDTAClassifier(adapter).fit(train, train_labels).score(test, test_labels) > 0.9


# --- several labels, and numbers


def test_several_labels_a_sample(digits):
    """Whether a digit is even, and whether it has a hole: as good as a regression for each."""
    train, test, *labels = digits
    even, holes = {"0", "2", "4", "6", "8"}, {"0", "4", "6", "8", "9"}
    y, expected = (np.array([[name[-1] in even, name[-1] in holes] for name in some]).astype(int) for some in labels)
    for adapter, more in (("linear", FAST), ("ridge", {})):
        found = UDTAClassifier(adapter, **more).fit(train, y)
        assert (found.predict(test) == expected).mean() > 0.85
        assert found.predict_proba(test).shape == expected.shape
        np.testing.assert_array_equal(found.decision_function(test) > 0, found.predict(test) == 1)
        assert found.classes_.tolist() == [0, 1]


def test_numbers_come_back_in_their_units_and_shape(digits):
    train, test, *labels = digits
    one, expected = (np.array([float(name[-1]) for name in some]) * 1000 + 1e6 for some in labels)
    found = UDTARegressor("ridge").fit(train, one)
    assert found.predict(test).shape == expected.shape
    reference = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))).fit(train, one)
    assert found.score(test, expected) == pytest.approx(reference.score(test, expected), abs=0.03)
    two = np.stack([one, -one], axis=1)
    steps = UDTARegressor("linear", epochs=20, lr=2e-2, weight_decay=0.1).fit(train, two)
    assert steps.predict(test).shape == (len(test), 2)
    assert steps.score(test, np.stack([expected, -expected], axis=1)) > reference.score(test, expected) - 0.1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(steps)).predict(test), steps.predict(test))


def test_numbers_and_labels_of_rows_of_a_store(rows):
    store, train, test = rows
    heights = store.labels * 10.0 + 150
    found = UDTARegressor("ridge", store=store, average_views=True).fit(train, heights[train])
    assert np.abs(found.predict(test) - heights[test]).mean() < 5
    several = np.eye(3, dtype=int)[store.labels]
    assert (UDTAClassifier("ridge", store=store).fit(train, several[train]).predict(test) == several[test]).mean() > 0.8


# --- rows of a store


@pytest.fixture(scope="module")
def rows(toy_store):
    store = udta.open_store(toy_store)
    return store, store.rows("train"), store.rows("test")


def test_trains_on_rows_of_a_store(toy_store, rows):
    store, train, test = rows
    found = UDTAClassifier("concat_linear", store=toy_store, batch_size=8, **FAST).fit(train, store.labels[train])
    assert found.score(test, store.labels[test]) > 0.8
    np.testing.assert_array_equal(found.predict(test), found.predict(test[:, None]))


def test_predicts_view_0_or_the_average_of_views(toy_store, rows):
    store, train, test = rows
    found = UDTAClassifier("concat_linear", store=toy_store, batch_size=8, epochs=2).fit(train, store.labels[train])
    values = view_answers(found.adapter_, store, test)
    np.testing.assert_allclose(np.log(found.predict_proba(test)), values[:, 0], atol=1e-5)
    averaged = found.set_params(average_views=True).predict_proba(test)
    expected = np.exp(values.mean(axis=1))
    np.testing.assert_allclose(averaged, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_trains_on_random_views(photos, rows, tmp_path):
    """What is learned from view 0 alone is not what is learned from both."""
    store, train, test = rows
    udta.extract(photos, backbone="toy:net", taps="stage1=grid(4),stage2=avg", views=1, out=tmp_path / "one.zarr")
    models = [
        UDTAClassifier("linear", store=path, epochs=4).fit(train, store.labels[train])
        for path in (store.path, tmp_path / "one.zarr")
    ]
    assert not np.array_equal(models[0].predict_proba(test), models[1].predict_proba(test))


def test_equals_udta_train(toy_store, rows, tmp_path):
    """The same loop on the same batches, from the same seed."""
    store, train, test = rows
    found = UDTAClassifier("udta", store=toy_store, epochs=2).fit(train, store.labels[train])
    seed = int(np.random.RandomState(0).randint(2**31))
    udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 2}, seed=seed)
    from udta.adapters import load_adapter

    adapter, _ = load_adapter(tmp_path / "run")
    expected = view_answers(adapter, store, test)[:, 0]
    np.testing.assert_allclose(np.log(found.predict_proba(test)), expected, atol=1e-5)


def test_cross_validation_and_grid_search_over_rows(toy_store, rows):
    store, train, _ = rows
    labels = np.array(store.classes)[store.labels[train]]
    model = UDTAClassifier("concat_linear", store=str(toy_store), batch_size=8, **{**FAST, "epochs": 15})
    assert cross_val_score(model, train, labels, cv=2, error_score="raise").mean() > 0.8
    search = GridSearchCV(model, {"average_views": [False, True]}, cv=2, error_score="raise")
    assert search.fit(train, labels).best_score_ > 0.8
    assert clone(search.best_estimator_).get_params()["store"] == str(toy_store)


@pytest.mark.parametrize("adapter", ["ridge", "knn"])
def test_closed_forms_read_every_view_of_the_rows(toy_store, rows, adapter):
    store, train, test = rows
    found = UDTAClassifier(adapter, store=toy_store).fit(train, store.labels[train])
    assert found.score(test, store.labels[test]) > 0.6


def test_labels_need_not_be_those_of_the_store(toy_store, rows):
    store, train, test = rows
    own = np.where(store.labels == 0, "bird", "no bird")
    found = UDTAClassifier("concat_linear", store=store, batch_size=8, **FAST).fit(train, own[train])
    assert found.classes_.tolist() == ["bird", "no bird"]
    assert found.score(test, own[test]) > 0.8


@pytest.mark.parametrize(
    ("given", "labels", "error"),
    [
        ([[0, 1], [2, 3]], [0, 1], "row numbers, one a sample"),
        ([0, 1, 1], [0, 1, 0], "twice with different labels"),
        ([0, 1, 2], [0, 1], "inconsistent numbers"),
        ([0, 1], [1, 1], "at least two"),
        ([0, 99], [0, 1], "row 99 is outside"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(toy_store, given, labels, error):
    with pytest.raises((ValueError, IndexError), match=error):
        UDTAClassifier("linear", store=toy_store, epochs=1).fit(np.array(given), labels)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    for module in ("estimator", "_sklearn_adapter"):
        monkeypatch.delitem(sys.modules, f"udta.evaluation.{module}")
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ConfigError, match=r"pip install 'udta\[sklearn\]'"):
        _ = udta.UDTAClassifier


@pytest.mark.parametrize(
    "options",
    [
        {"class_weights": "balanced"},
        {"class_weights": {"rare": 9.0}},
        {"sampling": "balanced"},
        {"logit_adjustment": 1.0},
    ],
)
def test_rare_classes_are_made_up_for(options):
    """Inputs that say nothing: what is predicted of them are the shares that probabilities are for."""
    inputs = np.random.default_rng(0).normal(size=(100, 4))
    labels = np.where(np.arange(100) < 90, "often", "rare")
    found = [
        UDTAClassifier("linear", epochs=10, lr=0.1, label_smoothing=0.0, **more)
        .fit(inputs, labels)
        .predict_proba(inputs)
        for more in ({}, options)
    ]
    assert found[0].mean(axis=0)[1] < 0.25
    assert found[1].mean(axis=0)[1] == pytest.approx(0.5, abs=0.05)


def test_weights_of_a_classifier_are_by_label_and_not_by_a_file():
    with pytest.raises(ConfigError, match="did you mean 'balanced'"):
        UDTAClassifier("linear", class_weights="balancd").fit(np.eye(4), [0, 1, 0, 1])
