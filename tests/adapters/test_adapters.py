"""Every adapter on the contract, and what is particular to each."""

import pytest
import torch
from adapter_contract import MAPS, N_CLASSES, TOKENS, VECTORS, AdapterContract, ClosedFormContract, TrainedContract

from udta.adapters import ADAPTERS, build_adapter
from udta.errors import ConfigError


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
        adapter = build_adapter("udta", MAPS, N_CLASSES)
        assert adapter.second_order == ["early", "middle"]
        assert adapter.taps_used == ("early", "middle", "last")

    def test_vectors_join_the_linear_path(self):
        adapter = build_adapter("udta", VECTORS, N_CLASSES)
        assert adapter.second_order == []
        assert adapter.taps_used == ("a", "b")

    def test_tokens_are_positions(self):
        assert build_adapter("udta", TOKENS, N_CLASSES).second_order == ["block1"]

    def test_the_second_order_taps_can_be_chosen(self):
        adapter = build_adapter("udta", MAPS, N_CLASSES, second_order=["middle"])
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


class TestHead2Toe(TrainedContract):
    name = "head2toe"


class TestRidge(ClosedFormContract):
    name = "ridge"


class TestKnn(ClosedFormContract):
    name = "knn"


def test_every_registered_adapter_is_on_the_contract():
    tested = {
        case.name
        for case in globals().values()
        if isinstance(case, type) and issubclass(case, AdapterContract) and hasattr(case, "name")
    }
    assert tested == set(ADAPTERS)


def test_an_unknown_adapter_comes_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'linear'"):
        build_adapter("liner", MAPS, N_CLASSES)
