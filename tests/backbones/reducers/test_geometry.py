"""How positions lie: oblong inputs, what precedes patches, and texts that say what an output does not show."""

import pytest
import timm
import torch
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from udta.backbones import Backbone, InputSpec, TapForward, list_taps, parse_taps, resolve_taps
from udta.backbones.reducers import Geometry, Reducer
from udta.backbones.reducers.grid import Grid
from udta.errors import ConfigError

SIDES = st.integers(1, 40)
SIZES = st.tuples(SIDES, SIDES)


@given(st.none() | SIZES, st.none() | SIZES, st.none() | st.integers(0, 9), st.sampled_from([None, "first", "last"]))
def test_what_is_written_is_read(size, of, prefix, channels):
    reducer = Reducer(Grid(size, of), prefix, channels)
    assert Reducer.parse(str(reducer)) == reducer
    assert " " not in str(reducer)


@pytest.mark.parametrize(
    "text",
    ["grid()", "grid(0)", "grid(07)", "grid(7x)", "grid(of=7,7)", "grid(7,7)", "avg(of=2x2)", "registers(from=1)"],
)
def test_one_meaning_has_one_spelling(text):
    with pytest.raises(ConfigError, match="no reducer"):
        Reducer.parse(text)
    assert str(Reducer.parse("grid(7x7)")) == "grid(7)"


def asked(prefix, class_token):
    yield from ("none", "avg", "grid", "grid(2)", "grid(3x2)")
    if prefix:
        yield "tokens"
    if prefix and class_token:
        yield "cls"
    if prefix > class_token:
        yield "registers"


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 12), st.integers(3, 12), st.sampled_from([0, 1, 2, 5]), st.booleans(), st.integers(2, 16))
def test_a_text_read_alone_gives_what_was_settled_with_the_whole_picture(rows, columns, prefix, class_token, stride):
    class_token = class_token and prefix > 0
    geometry = Geometry((rows * stride, columns * stride), prefix, class_token)
    assume(geometry.arranged(rows * columns))  # 3 x 8 pixels of stride 1 may be two grids of one number
    assume(geometry.before(rows * columns + prefix) == prefix)
    image = torch.randn(2, 3, rows, columns)
    tokens = torch.cat([torch.full((2, prefix, 3), 1e3), image.flatten(2).transpose(1, 2)], dim=1)
    expected = {
        "none": tokens,
        "avg": image.mean((2, 3)),
        "grid": image,
        "grid(2)": nn.functional.adaptive_avg_pool2d(image, 2),
        "grid(3x2)": nn.functional.adaptive_avg_pool2d(image, (3, 2)),
        "tokens": tokens[:, prefix:],
        "cls": tokens[:, 0],
        "registers": tokens[:, int(class_token) : prefix],
    }
    for text in asked(prefix, class_token):
        reducer = Reducer.parse(text)
        assert reducer.problem(tokens.shape[1:], geometry) is None
        settled = reducer.settled(tokens.shape[1:], geometry)
        # Settled once is settled: a store that grows asks with what it holds.
        assert Reducer.parse(str(settled)).settled(tokens.shape[1:], geometry) == settled
        torch.testing.assert_close(Reducer.parse(str(settled))(tokens), expected[text], rtol=1e-5, atol=1e-5)
        if rows == columns and prefix < 2 and text in ("avg", "cls", "grid(2)", "tokens"):
            assert str(settled) == text  # as it always was


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 12), st.integers(3, 12), st.integers(1, 40), st.booleans())
def test_maps_are_turned_by_the_shape_of_the_input(rows, columns, channels, last):
    geometry = Geometry((rows * 14, columns * 14))
    image = torch.randn(2, channels, rows, columns)
    output = image.permute(0, 2, 3, 1) if last else image
    shape = tuple(output.shape[1:])
    assume(geometry.is_channels_last(shape) == last)  # 4 x 6 x 9 of 2:3 may be both, and then it is channels first
    for text, expected in (("none", image), ("avg", image.mean((2, 3))), ("grid", image)):
        settled = Reducer.parse(text).settled(shape, geometry)
        torch.testing.assert_close(Reducer.parse(str(settled))(output), expected, rtol=1e-5, atol=1e-5)


def test_both_readings_of_an_oblong_map_are_told_apart_by_strides():
    geometry = Geometry((252, 336))
    assert geometry.is_channels_last((18, 24, 32))  # 24 x 32 is as oblong, but no stride leaves it
    assert not geometry.is_channels_last((18, 18, 24))
    assert geometry.is_channels_last((18, 24, 512))
    assert not geometry.is_channels_last((512, 18, 24))


@pytest.mark.parametrize(
    ("size", "tokens", "arranged"),
    [
        ((224, 224), 196, (14, 14)),
        ((252, 336), 432, (18, 24)),
        ((128, 512), 256, (8, 32)),  # a square number, and no square
        ((250, 330), 17 * 23, (17, 23)),
        ((250, 330), 18 * 24, (18, 24)),  # padded
        ((252, 336), 433, None),
        ((252, 336), 400, None),
    ],
)
def test_patches_lie_as_the_input_does(size, tokens, arranged):
    assert Geometry(size).arranged(tokens) == arranged


class Tokens(nn.Module):
    """Patches of 4 x 4 pixels after some other tokens; what it declares is up to the test."""

    def __init__(self, prefix, **declared):
        super().__init__()
        self.prefix = prefix
        self.patches, self.block = nn.Conv2d(3, 5, 4, 4), nn.Linear(5, 5)
        for name, value in declared.items():
            setattr(self, name, value)

    def forward(self, pixels):
        patches = self.patches(pixels).flatten(2).transpose(1, 2)
        return self.block(nn.functional.pad(patches, (0, 0, self.prefix, 0)))


def tokens(prefix, size="32,48", **declared):
    torch.manual_seed(0)
    return Backbone(Tokens(prefix, **declared).eval().requires_grad_(False), "test", InputSpec(f"resize({size})"))


def resolved(backbone, text, dtype="float16"):
    return [(spec.name, spec.reducer, spec.shape) for spec in resolve_taps(backbone, parse_taps(text), dtype)]


def test_oblong_tokens_are_stored_with_what_their_number_does_not_show():
    found = resolved(tokens(1), "block=grid,block=grid(4),block=avg,block=cls")
    assert found == [
        ("block", "grid(8x12,prefix=1)", (5, 8, 12)),
        ("block@grid4", "grid(4,of=8x12,prefix=1)", (5, 4, 4)),
        ("block@avg", "avg(prefix=1)", (5,)),
        ("block@cls", "cls(prefix=1)", (5,)),
    ]
    assert resolved(tokens(0), "block=grid,patches=grid(4)")[1][1:] == ("grid(8x12)", (5, 8, 12))
    assert {tap.name: tap.default_reducer for tap in list_taps(tokens(1))} == {
        "patches": "grid(7)",
        "block": "grid(7,of=8x12,prefix=1)",
    }


@pytest.mark.parametrize("size", ["32,48", "32,32"])
@pytest.mark.parametrize("text", ["avg", "grid", "grid(2)", "tokens", "cls", "registers"])
def test_registers_that_nobody_declares_are_never_averaged(size, text):
    backbone = tokens(5, size)
    patches = 96 if size == "32,48" else 64
    message = rf"{patches + 5} tokens fill no grid of .*num_prefix_tokens.*as in {text[:4]}.*prefix=5\) for 8 x"
    with pytest.raises(ConfigError, match=message):
        resolve_taps(backbone, parse_taps(f"block={text}"), "float16")
    told = f"{text[:-1]},prefix=5)" if "(" in text else f"{text}(prefix=5)"
    assert len(resolve_taps(backbone, parse_taps(f"block={told}"), "float16")) == 1
    assert resolved(backbone, "block")[0][1:] == ("none", (patches + 5, 5))


def test_tokens_that_a_declaration_does_not_explain_are_not_averaged():
    with pytest.raises(ConfigError, match="fill no grid"):
        resolve_taps(tokens(5, num_prefix_tokens=1), parse_taps("block=avg"), "float16")


def test_registers_are_what_stands_between_class_token_and_patches():
    declared = tokens(5, num_prefix_tokens=5, cls_token=1)
    assert resolved(declared, "block=registers") == [("block", "registers(prefix=5)", (4, 5))]
    alone = tokens(4, num_prefix_tokens=4, cls_token=None)
    assert resolved(alone, "block=registers") == [("block", "registers(from=0,prefix=4)", (4, 5))]
    for none in (tokens(1, num_prefix_tokens=1, cls_token=1), tokens(0, num_prefix_tokens=0, cls_token=None)):
        with pytest.raises(ConfigError, match="registers is for tokens with registers between class token and patches"):
            resolve_taps(none, parse_taps("block=registers"), "float16")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block=grid(9)", r"grid\(9\) is larger than its map, which is 8 x 12"),
        ("block=grid(2,of=4x12)", r"for 4 x 12 patches, but its output has 96 after 1 other tokens"),
        ("patches=grid(2,of=8x12)", "leave out of="),
        ("block=avg(channels=last)", "is for maps"),
        ("block=grid(2,prefix=2)", r"95 fill no grid of 32 x 48 pixels: say how they lie"),
    ],
)
def test_what_does_not_fit_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        resolve_taps(tokens(1), parse_taps(text), "float16")


def run(module, size, taps):
    backbone = Backbone(module.eval().requires_grad_(False), "test", InputSpec(f"resize({size[0]},{size[1]})"))
    specs = resolve_taps(backbone, parse_taps(taps), "float32")
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    return TapForward(backbone, specs, "float32", torch.device("cpu"))(images), (images / 255 - mean) / std, specs


def test_golden_oblong_vision_transformer_with_registers():
    torch.manual_seed(0)
    vit = timm.models.VisionTransformer(
        (32, 48), 8, embed_dim=16, depth=2, num_heads=2, reg_tokens=4, num_classes=0, global_pool="avg"
    )
    taps = "blocks.0=grid,blocks.0=cls,blocks.0=registers,blocks.0=avg,norm=tokens,pooled"
    found, pixels, specs = run(vit, (32, 48), taps)
    with torch.inference_mode():
        patches, others = vit.get_intermediate_layers(pixels, n=[0], return_prefix_tokens=True)[0]
        features = vit.forward_features(pixels)
        pooled = vit(pixels)
    image = patches.transpose(1, 2).reshape(2, 16, 4, 6)
    for name, expected in {
        "blocks.0": image,
        "blocks.0@registers": others[:, 1:],
        "blocks.0@avg": image.mean((2, 3)),
        "blocks.0@cls": others[:, 0],
        "norm": features[:, 5:],
        "pooled": pooled,
    }.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-3, atol=1e-4)
    recommended = {tap.name: tap.recommended for tap in list_taps(Backbone(vit, "test", InputSpec("resize(32,48)")))}
    assert recommended["blocks.0"] == "grid"
    assert list(found) == ["blocks.0", "blocks.0@registers", "blocks.0@avg", "blocks.0@cls", "norm", "pooled"]
    assert specs[0].reducer == "grid(4x6,prefix=5)"


def test_golden_oblong_swin_has_its_channels_last():
    torch.manual_seed(0)
    swin = torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4])
    found, pixels, specs = run(swin, (64, 96), "features.1=none,features.1=avg,features.3=grid,pooled")
    with torch.inference_mode():
        first, last = swin.features[:2](pixels).permute(0, 3, 1, 2), swin.features(pixels).permute(0, 3, 1, 2)
    assert [spec.reducer for spec in specs] == [
        "none(channels=last)",
        "avg(channels=last)",
        "grid(8x12,channels=last)",
        "none",
    ]
    torch.testing.assert_close(found["features.1"], first, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["features.1@avg"], first.mean((2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["features.3"], last, rtol=1e-3, atol=1e-4)
