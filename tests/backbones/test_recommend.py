"""Which taps are recommended, by the names, shapes and kinds of a network's modules alone."""

import pytest

from udta.backbones._recommend import recommended

POOLED = {"pooled": ""}


def chosen(modules, summary=POOLED):
    """The recommendation for `name: (kind, shape)`; tokens are patches, and a grid can be had of squares of them."""
    shapes = {name: shape for name, (_, shape) in modules.items()}
    positions = {name: shape[0] if len(shape) == 2 else shape[-1] ** 2 for name, shape in shapes.items()}
    places = {name: 1 if len(shape) == 1 else positions[name] for name, shape in shapes.items()}

    def fits(name, reducer):
        side = int(reducer.removeprefix("grid(").removesuffix(")") or 0) if reducer != "grid" else 1
        return round(places[name] ** 0.5) ** 2 == places[name] and side**2 <= places[name]

    return recommended(shapes, places, {name: kind for name, (kind, _) in modules.items()}, summary, fits)


def transformer(prefix, count, patches=196):
    """Blocks with what is in them, a norm, and what the model feeds its head."""
    modules = {"patch_embed.proj": ("Conv2d", (8, 14, 14)), "patch_embed": ("PatchEmbed", (patches, 8))}
    for block in range(count):
        name = f"{prefix}{block}"
        parts = {"norm1": "LayerNorm", "attn.qkv": "Linear", "attn": "Attention", "mlp.0": "Linear", "mlp.1": "Linear"}
        modules |= {f"{name}.{part}": (kind, (patches, 8)) for part, kind in parts.items()}
        modules |= {name: ("Block", (patches, 8))}
    return {**modules, "norm": ("LayerNorm", (patches, 8)), "pooled": ("into head", (8,)), "head": ("Linear", (4,))}


@pytest.mark.parametrize(
    "prefix",
    [
        "blocks.",
        "encoder.layer.",
        "encoder.layers.encoder_layer_",
        "transformer.resblocks.",
        "trunk.blocks.",
        "layers.",
    ],
)
@pytest.mark.parametrize(
    ("count", "blocks"),
    [(12, (3, 6, 9)), (24, (7, 13, 19)), (32, (10, 18, 26)), (6, (1, 3, 4)), (3, (0, 1, 2)), (2, (0, 1))],
)
def test_blocks_of_a_transformer_and_what_it_feeds_its_head(prefix, count, blocks):
    found = chosen(transformer(prefix, count))
    assert found == {**{f"{prefix}{block}": "grid(14)" for block in blocks}, "pooled": ""}
    assert list(found)[-1] == "pooled"


def test_patches_that_no_grid_is_known_of_are_taken_as_they_are():
    assert list(chosen(transformer("blocks.", 12, patches=200)).values()) == ["", "", "", ""]


def test_without_a_tap_pooled_the_last_one_with_its_reducer_stands_for_it():
    modules = {name: each for name, each in transformer("blocks.", 12).items() if name != "pooled"}
    blocks = {f"blocks.{number}": "grid(14)" for number in (3, 6, 9)}
    assert chosen(modules, {"norm": "cls"}) == {**blocks, "norm": "cls"}
    assert chosen(modules, {}) == blocks


def stages(last, channels_first=True):
    shapes = {"stem": 56, "stages.0": 56, "stages.1": 28, "stages.2": 14, "stages.3": 7}
    modules = {name: ("Stage", (8, side, side) if channels_first else (side**2, 8)) for name, side in shapes.items()}
    return {**modules, **last, "pooled": ("into head", (8,)), "head": ("Linear", (4,))}


def test_the_average_of_a_network_with_stages():
    middle = {"stages.2": "grid(14)"}
    in_a_module = {"pool": ("AdaptiveAvgPool2d", (8, 1, 1))}
    assert chosen(stages(in_a_module)) == {**middle, "stages.3": "", "pool": "avg"}
    # MobileNetV2: the head's average is taken by a function, of the convolution behind the last block.
    assert chosen(stages({"stages.4": ("Conv", (32, 7, 7))})) == {**middle, "stages.3": "", "stages.4": "avg"}
    # A hierarchical transformer has blocks there, and no convolution for the head.
    assert chosen(stages({}, channels_first=False)) == {**middle, "stages.3": "", "pooled": ""}


def test_what_has_no_row_of_anything_gives_its_last_map():
    modules = {"conv": ("Conv2d", (8, 16, 16)), "act": ("ReLU", (8, 16, 16)), "pooled": ("into fc", (8,))}
    assert chosen(modules) == {"act": "grid(14)", "pooled": ""}
    assert chosen({"pooled": ("into fc", (8,)), "fc": ("Linear", (4,))}) == POOLED
    assert chosen({}, {}) == {}
