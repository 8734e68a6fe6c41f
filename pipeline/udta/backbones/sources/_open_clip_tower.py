"""An image tower of open_clip as a backbone. The text tower is neither built nor kept.

The module ends in `head`, which is given what the tower pools before it is projected into the space that images and texts share;
`projection` makes that embedding beside it, so that both are taps.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from udta.backbones._weights import load_weights
from udta.errors import ConfigError

# What the tower is called in a whole model.
_PART = "visual."


def image_tower(arch: str, quick_gelu: bool, weights: Path | None, size: tuple[int, int] | None) -> nn.Module:
    """A tower of open_clip, filled, at this size, which ends in `head`."""
    import open_clip
    from open_clip.model import _build_vision_tower

    config = open_clip.get_model_config(arch)
    own = config["vision_cfg"]["image_size"]
    if size in (None, (own, own)):
        size = None
    elif isinstance(config["vision_cfg"].get("layers"), list):
        # Its attention pooling has an embedding for each place of the last map, which open_clip does not resample.
        raise ConfigError(f"open_clip's {arch} is made for {own} x {own} pixels alone, not for {size[0]} x {size[1]}")
    vision = {**config["vision_cfg"], "image_size": size or own, "timm_model_pretrained": False}
    # The function that its whole models are made with: it builds no text tower, which is half of the parameters and of the time.
    # `ViT-B-32/openai` was trained with another GELU than `ViT-B-32` says; open_clip warns and computes something else.
    tower: Any = _build_vision_tower(config["embed_dim"], vision, config.get("quick_gelu", False) or quick_gelu)
    if weights is not None:
        load_weights(tower, weights, _image_part)
    if size and hasattr(tower, "set_input_size"):
        tower.set_input_size(size)  # of timm's towers, which hold the size of the weights until now
    return _with_head(tower)


def _image_part(tower: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Of a file of a whole model the tower's tensors, for its size; a file that holds a tower alone is taken as it is."""
    from open_clip.model import resize_pos_embed

    # As part of the whole, which is what open_clip's function looks for.
    whole = state if any(key.startswith(_PART) for key in state) else {f"{_PART}{key}": state[key] for key in state}
    # In float32, since half precision cannot be resampled on a CPU.
    part = {key: value.float() for key, value in whole.items() if key.startswith(_PART)}
    resize_pos_embed(part, SimpleNamespace(visual=tower))
    return {key.removeprefix(_PART): value for key, value in part.items()}


def _with_head(tower: Any) -> nn.Module:
    """The same tower, its projection a module of its own beside `head`."""
    projection: nn.Module | None = None
    if isinstance(getattr(tower, "proj", None), nn.Parameter):  # VisionTransformer
        width, embedding = tower.proj.shape
        projection = nn.Linear(width, embedding, bias=False)
        projection.weight = nn.Parameter(tower.proj.detach().T.contiguous())
        tower.proj, tower.output_tokens = None, False
    elif hasattr(tower, "trunk"):  # TimmModel: after the trunk, or in the place of its classifier
        projection = tower.head if len(tower.head) else _taken(tower.trunk)
    tower.__class__ = _headed(type(tower))  # type: ignore[arg-type]  # a class is hashable
    tower.projection, tower.head = projection, nn.Identity()
    return tower  # type: ignore[no-any-return]


def _taken(trunk: Any) -> nn.Module | None:
    """The classifier of a model of timm, which leaves an `Identity` there; None where it has none."""
    classifier: nn.Module = trunk.get_classifier()
    if isinstance(classifier, nn.Identity):
        return None
    trunk.set_submodule(next(name for name, module in trunk.named_modules() if module is classifier), nn.Identity())
    return classifier


class _Headed(nn.Module):
    """Mixed into a tower of open_clip, so that taps are called as open_clip calls them: `transformer.resblocks.5`."""

    trunk: nn.Module  # of timm's towers alone
    projection: nn.Module | None
    head: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """What the tower pools, by way of `head`; its embedding is computed for those who tap it."""
        # TimmModel's own forward would run `head` as well, and a module that runs twice is no tap.
        pooled: Tensor = self.trunk(images) if hasattr(self, "trunk") else super().forward(images)
        if self.projection is not None:  # attention pooling of a ResNet, and SigLIP's, end in the embedding itself
            self.projection(pooled)
        head: Tensor = self.head(pooled)
        return head

    @property
    def num_prefix_tokens(self) -> int | None:
        """Of a VisionTransformer the class token; else what the trunk says, None where there are no tokens."""
        if hasattr(self, "class_embedding"):
            return 1
        return getattr(getattr(self, "trunk", None), "num_prefix_tokens", None)

    @property
    def cls_token(self) -> Tensor | None:
        """The class token's embedding, None where there is none."""
        if hasattr(self, "class_embedding"):
            return self.class_embedding  # type: ignore[return-value]
        return getattr(getattr(self, "trunk", None), "cls_token", None)


@cache
def _headed(kind: type[nn.Module]) -> type[nn.Module]:
    return type("ImageTower", (_Headed, kind), {})
