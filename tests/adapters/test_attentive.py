"""The adapter that weighs the tokens of all taps image by image."""

import numpy as np
import pytest
import torch
from adapter_contract import MAPS, N_CLASSES, TOKENS, TrainedContract, features, trained

from udta.adapters import Recipe, build_adapter
from udta.adapters.attentive import Fusion, has_class_token
from udta.errors import ConfigError
from udta.loader import Batch
from udta.training.loop import fit


class TestAttentive(TrainedContract):
    name = "attentive"

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((197, 192), True),
            ((5, 8), True),
            ((2, 8), True),
            ((196, 192), False),
            ((9, 6), False),
            ((201, 8), False),  # four registers beside the class token: nothing says which is which
            ((1, 8), False),
            ((10,), False),
            ((5, 5, 5), False),
        ],
    )
    def test_a_class_token_is_one_more_than_a_square(self, shape, expected):
        assert has_class_token(shape) == expected

    def test_reads_averages_and_class_tokens_in_the_order_of_the_taps(self):
        taps = {"map": (6, 5, 5), "class token": (5, 8), "patches": (4, 8), "vector": (3,)}
        adapter, inputs = build_adapter("attentive", taps, N_CLASSES), features(taps)
        assert adapter.taps_used == tuple(taps)
        expected = [
            inputs["map"].mean((2, 3)),
            inputs["class token"][:, 0],
            inputs["class token"][:, 1:].mean(1),
            inputs["patches"].mean(1),
            inputs["vector"],
        ]
        torch.testing.assert_close(adapter.pool(inputs), torch.cat(expected, dim=1))

    def test_a_query_takes_as_many_numbers_as_it_is_wide(self):
        adapter = build_adapter("attentive", TOKENS, N_CLASSES, queries=3, width=5)
        assert adapter.fusion(adapter.pool(features(TOKENS))).shape == (6, 15)
        assert adapter.options == {"queries": 3, "width": 5}
        assert adapter.n_parameters == 2 * (6 + 1) * 3 * (1 + 5) + (15 + 1) * N_CLASSES

    def test_impossible_options_are_refused(self):
        with pytest.raises(ConfigError) as caught:
            build_adapter("attentive", MAPS, N_CLASSES, queries=0, width="wide")
        assert len(caught.value.problems) == 2

    def test_every_tap_has_a_part_in_the_logits(self):
        adapter, inputs = trained("attentive", MAPS), features(MAPS)
        for tap in MAPS:
            changed = {**inputs, tap: inputs[tap] + 1}
            assert (adapter(changed) - adapter(inputs)).abs().max() > 1e-3


def test_fusion_is_a_softmax_over_tokens_written_out():
    torch.manual_seed(0)
    fusion, lengths, queries, width = Fusion((3, 5), 2, 4).eval(), (3, 5), 2, 4
    tokens = torch.randn(6, 8)
    found = fusion(tokens).detach().numpy()
    apart = np.split(tokens.double().numpy(), [3], axis=1)
    read = [(layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()) for layer in fusion.read]
    for sample in range(6):
        every = [weight @ token[sample] + bias for (weight, bias), token in zip(read, apart, strict=True)]
        for query in range(queries):
            scores = np.array([each[query] for each in every])
            weights = np.exp(scores) / np.exp(scores).sum()
            own = slice(queries + query * width, queries + (query + 1) * width)
            expected = sum(weights[token] * every[token][own] for token in range(len(lengths)))
            np.testing.assert_allclose(
                found[sample, query * width : (query + 1) * width], expected, rtol=1e-3, atol=1e-4
            )


@pytest.mark.parametrize(("name", "low", "high"), [("attentive", 0.9, 1.0), ("concat_linear", 0.0, 0.85)])
def test_an_image_says_itself_which_tap_to_look_at(name, low, high):
    """One tap says whether the class is in the second or in the third; what the other one says is noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(512) % 2
    where = torch.randint(2, (512,), generator=generator)
    says = torch.randint(2, (512, 2), generator=generator)
    says[torch.arange(512), where] = labels
    taps = {
        "which": (2.0 * where - 1)[:, None].repeat(1, 2),
        "second": (2.0 * says[:, :1] - 1).repeat(1, 2),
        "third": (2.0 * says[:, 1:] - 1).repeat(1, 2),
    }
    torch.manual_seed(0)
    adapter = build_adapter(name, {tap: values.shape[1:] for tap, values in taps.items()}, 2)
    batches = [
        Batch({tap: values[part] for tap, values in taps.items()}, labels[part], torch.arange(512)[part])
        for part in torch.arange(512).split(64)
    ]
    fit(adapter, batches, recipe=Recipe(epochs=20, lr=1e-2, weight_decay=0.0))
    accuracy = float((adapter(taps).argmax(1) == labels).float().mean())
    assert low <= accuracy <= high
