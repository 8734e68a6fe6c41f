"""The loader: exact epochs, seeded order and views, and nothing but what the store holds."""

import numpy as np
import pytest
import torch
from made_stores import all_features, make_layout, write_store

from udta import FeatureLoader, open_store
from udta.errors import ConfigError, UncommittedRowError
from udta.store import relabelled


@pytest.fixture(scope="module")
def layout():
    return make_layout(50, views=3, block_rows=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory, layout):
    path = tmp_path_factory.mktemp("loader") / "s.zarr"
    write_store(path, layout)
    return open_store(path)


def epoch(loader):
    batches = list(loader)
    return torch.cat([batch.rows for batch in batches]), batches


def test_an_epoch_is_an_exact_permutation_of_the_split(store):
    loader = FeatureLoader(store, split="train", batch_size=8)
    rows, batches = epoch(loader)
    assert sorted(rows.tolist()) == store.rows("train").tolist()
    assert rows.tolist() != store.rows("train").tolist()
    assert len(batches) == len(loader)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 1]


@pytest.mark.parametrize("views", ["random", 2])
def test_every_value_is_the_stored_one(store, layout, views):
    expected = all_features(layout)
    for batch in FeatureLoader(store, split=None, batch_size=7, views=views):
        assert batch.labels.tolist() == layout.labels[batch.rows.numpy()].tolist()
        for tap, values in batch.taps.items():
            candidates = (
                expected[tap][batch.rows.numpy()]
                if views == "random"
                else expected[tap][batch.rows.numpy()][:, [views]]
            )
            found = (candidates == values.numpy()[:, None]).reshape(len(batch), candidates.shape[1], -1).all(2)
            assert found.any(1).all()


def test_random_views_draw_all_of_them_anew_each_epoch(store, layout):
    loader = FeatureLoader(store, split=None, shuffle=False, taps=["head"])
    (_, [first]), (_, [second]) = epoch(loader), epoch(loader)
    assert not torch.equal(first.taps["head"], second.taps["head"])
    drawn = (all_features(layout)["head"] == first.taps["head"].numpy()[:, None]).all(2)
    assert drawn.any(0).all()


def test_several_views_add_an_axis(store, layout):
    (_, [everything]) = epoch(FeatureLoader(store, split=None, shuffle=False, views="all"))
    np.testing.assert_array_equal(everything.taps["stage1.0"], all_features(layout)["stage1.0"])
    (_, [two]) = epoch(FeatureLoader(store, rows=[4, 1], shuffle=False, views=[2, 0]))
    np.testing.assert_array_equal(two.taps["head"], all_features(layout)["head"][[4, 1]][:, [2, 0]])


def test_seed_and_epoch_decide_order_and_views(store):
    def run(seed, start):
        loader = FeatureLoader(store, batch_size=8, seed=seed)
        loader.epoch = start
        return epoch(loader)[1]

    for a, b in zip(run(1, 3), run(1, 3), strict=True):
        assert torch.equal(a.rows, b.rows)
        assert torch.equal(a.taps["head"], b.taps["head"])
    assert run(1, 3)[0].rows.tolist() != run(2, 3)[0].rows.tolist()
    assert run(1, 3)[0].rows.tolist() != run(1, 4)[0].rows.tolist()


def test_dtype_is_the_stored_one_unless_asked(store):
    assert next(iter(FeatureLoader(store))).taps["stage1.0"].dtype == torch.float16
    assert next(iter(FeatureLoader(store, dtype="bfloat16"))).taps["stage1.0"].dtype == torch.bfloat16


def test_leaving_an_epoch_early_is_fine(store):
    loader = FeatureLoader(store, batch_size=2)
    for _ in loader:
        break
    assert len(epoch(loader)[0]) == len(store.rows("train"))


@pytest.mark.parametrize(
    "options",
    [
        {"split": "trian"},
        {"taps": ["haed"]},
        {"batch_size": 0},
        {"views": "randon"},
        {"views": 3},
        {"dtype": "float61"},
    ],
)
def test_wrong_options_are_refused(store, options):
    with pytest.raises(ConfigError):
        FeatureLoader(store, **options)


def test_an_unfinished_store_is_refused(tmp_path, layout):
    write_store(tmp_path / "s", layout, blocks=[0])
    with pytest.raises(UncommittedRowError):
        FeatureLoader(open_store(tmp_path / "s"))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Of classes with 30, 8 and 2 rows, far apart."""
    labels = np.repeat([1, 0, 2], [8, 30, 2])
    path = tmp_path_factory.mktemp("uneven") / "s.zarr"
    write_store(path, make_layout(40, views=3, block_rows=8, labels=labels, classes=("a", "b", "c")))
    return open_store(path)


@pytest.mark.parametrize("options", [{}, {"memory_budget": 20 * (12 * 2 + 5 * 4)}, {"resident": True}])
def test_balanced_sampling_shows_each_class_as_often_as_another(uneven, options):
    loader = FeatureLoader(uneven, split=None, batch_size=8, sampling="balanced", **options)
    assert loader.windowed == ("memory_budget" in options)
    (rows, batches), (others, _) = epoch(loader), epoch(loader)
    assert len(batches) == len(loader) == 5
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.tolist() == uneven.labels[rows].tolist()
    assert sorted(np.bincount(labels)) == [13, 13, 14]
    times = np.bincount(rows, minlength=40)
    assert set(times[uneven.labels == 0]) == {0, 1}  # of a frequent class some
    assert set(times[uneven.labels == 1]) <= {1, 2}  # of rarer ones each, as evenly as can be
    assert set(times[uneven.labels == 2]) <= {6, 7}
    assert set(rows.tolist()) != set(others.tolist())
    # The same again from the same numbers, and from the middle of an epoch.
    again = FeatureLoader(uneven, split=None, batch_size=8, sampling="balanced", **options)
    reader = iter(again)
    first = [next(reader) for _ in range(2)]
    resumed = FeatureLoader(uneven, split=None, batch_size=8, sampling="balanced", **options)
    resumed.load_state_dict(again.state_dict())
    assert torch.cat([batch.rows for batch in [*first, *resumed]]).tolist() == rows.tolist()


def test_balanced_sampling_of_what_has_no_classes_or_no_shuffle_is_refused(uneven):
    for options, message in (
        ({"sampling": "balance"}, "did you mean 'balanced'"),
        ({"sampling": "balanced", "shuffle": False}, "way to shuffle"),
    ):
        with pytest.raises(ConfigError, match=message):
            FeatureLoader(uneven, split=None, **options)
    unknown = relabelled(uneven, np.where(uneven.labels == 2, -1, uneven.labels), uneven.classes)
    with pytest.raises(ConfigError, match="not every row has one class"):
        FeatureLoader(unknown, split=None, sampling="balanced")
    assert len(FeatureLoader(unknown, rows=np.flatnonzero(unknown.labels >= 0), sampling="balanced")) == 1
