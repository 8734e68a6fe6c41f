"""Every adapter on the contract, and what is particular to each."""

import importlib
import math
from pathlib import Path

import pytest
import torch
from adapter_contract import (
    MAPS,
    N_CLASSES,
    TOKENS,
    VECTORS,
    AdapterContract,
    ClosedFormContract,
    TrainedContract,
    every_view,
    features,
    trained,
)

from udta.adapters import ADAPTERS, build_adapter, directions
from udta.errors import AdapterError, ConfigError
from udta.loader import Batch


class TestLinear(TrainedContract):
    name = "linear"

    def test_reads_the_last_tap_alone(self):
        assert build_adapter("linear", MAPS, 3).taps_used == ("last",)

    def test_has_one_weight_for_each_feature_and_class(self):
        assert build_adapter("linear", MAPS, N_CLASSES).n_parameters == 10 * N_CLASSES + N_CLASSES


class TestConcatLinear(TrainedContract):
    name = "concat_linear"

    def test_reads_the_averages_of_all_taps(self):
        adapter = build_adapter("concat_linear", MAPS, N_CLASSES)
        assert adapter.n_parameters == (6 + 8 + 10) * N_CLASSES + N_CLASSES


class TestUdta(TrainedContract):
    name = "udta"

    def test_pools_middle_maps_to_second_order_beside_the_last_tap(self):
        adapter = build_adapter("udta", MAPS, N_CLASSES, width=9)
        assert adapter.second_order == ["early", "middle"]
        assert adapter.taps_used == ("early", "middle", "last")

    @pytest.mark.parametrize(
        ("taps", "chosen"),
        [
            (
                {"6": (32, 14, 14), "10": (64, 14, 14), "13": (96, 14, 14), "17": (320, 7, 7), "18": (1280,)},
                ["6", "10", "13", "17"],
            ),
            ({"layer2": (512, 28, 28), "layer3": (1024, 14, 14), "layer4": (2048, 7, 7)}, ["layer2", "layer3"]),
            ({"blocks.5": (197, 384), "blocks.8": (197, 384), "blocks.11": (384,)}, ["blocks.5", "blocks.8"]),
            ({"a": (32, 3, 3), "b": (64, 7, 7), "c": (96, 7, 7), "last": (1280,)}, ["a", "b", "c"]),
            ({"a": (32,), "last": (1280, 7, 7)}, []),
            (
                {**{str(n): (8, 4, 4) for n in range(16)}, "last": (8,)},
                ["1", "3", "5", "7", "9", "11", "13", "15"],
            ),
        ],
    )
    def test_may_pool_the_middle_taps_with_positions_eight_at_most(self, taps, chosen):
        assert build_adapter("udta", taps, N_CLASSES).second_order == chosen

    def test_vectors_join_the_linear_path(self):
        adapter = build_adapter("udta", VECTORS, N_CLASSES)
        assert adapter.second_order == []
        assert adapter.taps_used == ("a", "b")

    def test_tokens_are_positions(self):
        assert build_adapter("udta", TOKENS, N_CLASSES).second_order == ["block1"]

    def test_starts_as_the_linear_probe(self):
        """Everything starts at zero, and the gradient of the weights of the averages is that of the probe but for its gain."""
        inputs, labels = features(MAPS), torch.arange(6) % N_CLASSES
        gradients = []
        for name in ("udta", "linear"):
            adapter = build_adapter(name, MAPS, N_CLASSES)
            torch.nn.functional.cross_entropy(adapter(inputs), labels).backward()
            gradients.append(adapter.probe.classify.weight.grad[:, :10] / adapter.probe.gain)
        assert gradients[0].abs().sum() > 0
        torch.testing.assert_close(*gradients)

    def test_trains_a_linear_layer_alone(self):
        adapter = build_adapter("udta", MAPS, N_CLASSES, width=4)
        assert adapter.n_parameters == (6 + 8 + 10 + 2 * 10) * N_CLASSES + N_CLASSES

    def test_has_room_for_three_taps_and_takes_three_that_are_spread_until_it_chooses(self):
        taps = {**{str(n): (4, 3, 3) for n in range(6)}, "last": (5,)}
        adapter = build_adapter("udta", taps, N_CLASSES)
        assert adapter.probe.classify.in_features == 5 + 6 * 4 + 3 * 10
        assert adapter.chosen.nonzero()[:, 0].tolist() == [1, 3, 5]
        asked = build_adapter("udta", taps, N_CLASSES, second_order=["0", "1", "2", "3"], averages=False)
        assert asked.probe.classify.in_features == 5 + 4 * 10
        assert asked.chosen.all()

    def test_what_is_not_chosen_has_no_part_in_the_logits(self):
        adapter = build_adapter("udta", MAPS, N_CLASSES, averages=False, second_order=["middle"], weight=0.5)
        torch.nn.init.normal_(adapter.probe.classify.weight)
        inputs = features(MAPS)
        before = adapter.eval()(inputs)
        assert torch.equal(adapter(inputs | {"early": inputs["early"] + 1}), before)
        assert not torch.equal(adapter(inputs | {"middle": inputs["middle"] * torch.rand(8, 1, 1)}), before)
        assert adapter.scale.unique().tolist() == [0.5, 1.0]

    @pytest.mark.parametrize("kind", ["learned", "principal"])
    def test_directions_come_from_the_samples_and_only_learned_ones_from_their_labels(self, kind):
        adapters = [build_adapter("udta", MAPS, N_CLASSES, directions=kind) for _ in range(3)]
        batches = every_view(MAPS)
        relabelled = [Batch(batch.taps, batch.labels.flip(0), batch.rows) for batch in batches]
        for adapter, samples in zip(adapters, (batches, batches, relabelled), strict=True):
            adapter.solve(samples)
        first, again, other = (adapter.pools[0].reduction for adapter in adapters)
        assert not torch.equal(first, build_adapter("udta", MAPS, N_CLASSES).pools[0].reduction)
        assert torch.equal(first, again)
        assert torch.equal(first, other) == (kind == "principal") == (not adapters[0].solves_labels)

    def test_learned_directions_are_the_principal_ones_turned(self):
        learned, principal = (
            build_adapter("udta", MAPS, N_CLASSES, width=4, directions=d) for d in ("learned", "principal")
        )
        for adapter in (learned, principal):
            adapter.solve(every_view(MAPS))
        for own, others in zip(learned.pools, principal.pools, strict=True):
            turn = own.reduction @ torch.linalg.pinv(others.reduction)
            torch.testing.assert_close(turn @ others.reduction, own.reduction, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(turn.norm(dim=1), torch.ones(4), atol=1e-4, rtol=1e-4)
        assert all(
            (parameter == 0).all() for parameter in learned.probe.parameters()
        )  # still starts as the linear probe

    def test_directions_are_learned_from_no_more_samples_than_fit(self, monkeypatch):
        seen, learn = [], directions.learn_turns

        def learning(found, *arguments):
            seen.append(len(found.labels))
            return learn(found, *arguments)

        monkeypatch.setattr("udta.adapters.udta.learn_turns", learning)
        for most in (7, 24):
            adapter = build_adapter("udta", MAPS, N_CLASSES)
            monkeypatch.setattr("udta.adapters.udta._MOST_BYTES", 4 * most * (24 + 21 + 36))
            adapter.solve(every_view(MAPS))
        assert seen == [7, 24]

    def test_needs_samples_only_where_there_are_directions(self):
        with pytest.raises(AdapterError, match="there is none"):
            build_adapter("udta", MAPS, N_CLASSES).solve([])
        build_adapter("udta", VECTORS, N_CLASSES).solve([])

    def test_the_second_order_taps_can_be_chosen(self):
        adapter = build_adapter("udta", MAPS, N_CLASSES, second_order=["middle"], averages=False)
        assert adapter.taps_used == ("middle", "last")
        with pytest.raises(ConfigError, match="did you mean 'middle'"):
            build_adapter("udta", MAPS, N_CLASSES, second_order=["midle"])

    def test_sees_what_averages_cannot(self):
        """Two classes with the same mean and another covariance: the linear probe is at chance, this is not."""
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(64) % 2
        maps = torch.randn(64, 4, 6, 6, generator=generator)
        maps[labels == 1, 1] = maps[labels == 1, 0]
        taps = {"middle": maps - maps.mean((2, 3), keepdim=True), "last": torch.zeros(64, 2)}
        adapter = build_adapter("udta", {"middle": (4, 6, 6), "last": (2,)}, 2)
        optimiser = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
        for _ in range(30):
            loss = torch.nn.functional.cross_entropy(adapter(taps), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert (adapter.eval()(taps).argmax(1) == labels).float().mean() > 0.95


class TestLadder(TrainedContract):
    name = "ladder"

    def test_the_first_rung_has_nothing_to_mix_and_the_others_start_half_and_half(self):
        gates = [rung.gate for rung in build_adapter("ladder", MAPS, N_CLASSES).rungs]
        assert gates[0] is None
        assert [gate.detach().sigmoid().item() for gate in gates[1:]] == [0.5, 0.5]

    def test_what_is_deep_depends_on_what_is_shallow(self):
        adapter, inputs = trained("ladder", MAPS), features(MAPS)
        changed = {**inputs, "early": inputs["early"] + 1}
        assert (adapter(changed) - adapter(inputs)).abs().max() > 1e-3

    def test_sees_where_things_are(self):
        """Two cells are lit, next to each other or not: averages and covariances are the same."""
        labels = torch.arange(64) % 2
        maps = torch.zeros(64, 1, 4, 4)
        rows = torch.arange(64) // 2 % 4
        maps[torch.arange(64), 0, rows, 0] = 1
        maps[torch.arange(64), 0, rows, 1 + 2 * labels] = 1
        taps = {"middle": maps, "last": torch.zeros(64, 2)}
        torch.manual_seed(0)
        adapter = build_adapter("ladder", {"middle": (1, 4, 4), "last": (2,)}, 2)
        optimiser = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(adapter(taps), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert (adapter.eval()(taps).argmax(1) == labels).float().mean() > 0.95


class TestHead2Toe(TrainedContract):
    name = "head2toe"

    def test_keeps_a_share_of_the_cells_of_maps_and_of_the_vectors(self):
        adapter = build_adapter("head2toe", MAPS, N_CLASSES, grid=2, keep=0.25)
        assert adapter.n_features == 6 * 4 + 8 * 4 + 10
        assert len(adapter.selected) == round(0.25 * 66)
        assert adapter.n_parameters == 16 * N_CLASSES + N_CLASSES

    def test_a_map_has_no_more_cells_than_positions(self):
        assert build_adapter("head2toe", {"only": (4, 3, 2)}, N_CLASSES, grid=8).n_features == 4 * 3 * 2


class TestRidge(ClosedFormContract):
    name = "ridge"

    def test_reads_the_last_tap_or_all(self):
        assert build_adapter("ridge", MAPS, N_CLASSES).taps_used == ("last",)
        adapter = build_adapter("ridge", MAPS, N_CLASSES, taps="all")
        assert adapter.taps_used == ("early", "middle", "last")
        assert adapter.options == {"taps": "all", "alpha": None}
        adapter.solve(every_view(MAPS))
        inputs = features(MAPS)
        assert not torch.equal(adapter({**inputs, "early": inputs["early"] + 1}), adapter(inputs))


class TestKnn(ClosedFormContract):
    name = "knn"

    def test_every_view_is_a_key_of_two_bytes_a_channel(self):
        adapter = trained("knn", MAPS)
        assert adapter.keys.shape == (24, 10)
        assert adapter.keys.dtype == torch.float16

    def test_large_features_stay_finite_as_keys(self):
        samples = [
            Batch({"last": 1e6 * values.taps["last"]}, values.labels, values.rows) for values in every_view(MAPS)
        ]
        for metric in ("cosine", "euclidean"):
            adapter = build_adapter("knn", {"last": (10,)}, N_CLASSES, metric=metric)
            assert torch.isfinite(torch.tensor(adapter.solve(samples).loss))
            assert (adapter.eval()(samples[0].taps).argmax(1) == samples[0].labels).all()


def test_every_registered_adapter_is_on_the_contract():
    for path in Path(__file__).parent.glob("test_*.py"):  # some have a file of their own
        importlib.import_module(path.stem)
    contracts = [AdapterContract]
    for contract in contracts:
        contracts += contract.__subclasses__()
    assert {contract.name for contract in contracts if hasattr(contract, "name")} == set(ADAPTERS)


def test_an_unknown_adapter_comes_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'linear'"):
        build_adapter("liner", MAPS, N_CLASSES)


@pytest.mark.parametrize(
    "changes", [{"epochs": 2.5}, {"batch_size": 8.1}, {"epochs": True}, {"lr": "fast"}, {"epochs": math.nan}]
)
def test_a_recipe_takes_numbers_of_the_right_kind(changes):
    [name] = changes
    with pytest.raises(ConfigError, match=f"recipe: {name} is"):
        ADAPTERS["linear"].recipe.override(changes)


def test_whole_numbers_that_are_written_otherwise_are_taken():
    recipe = ADAPTERS["linear"].recipe.override({"epochs": 3.0, "weight_decay": 1})
    assert repr((recipe.epochs, recipe.weight_decay)) == "(3, 1.0)"
