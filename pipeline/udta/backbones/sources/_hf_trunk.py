"""A model of transformers as a backbone: its own class, with one vector out, and every weight of it from the file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from udta.backbones._weights import listing
from udta.errors import WeightsError

# What stands before the patches, as the embeddings of the library's transformers call it.
_CLASS_TOKENS = ("cls_token", "class_embedding")
_PREFIX_TOKENS = (*_CLASS_TOKENS, "distillation_token", "register_tokens")
# They give (tokens, ...): a tap is one tensor, so what they pass on gets a module of its own behind them, `tokens`.
_SEVERAL_OUTPUTS = ("SwinLayer", "SwinStage", "Swinv2Layer", "Swinv2Stage")
# Not read by a forward pass without masks, or computed from the configuration; checkpoints of other years have or lack them.
_IMMATERIAL = ("mask_token", "position_ids", "relative_position_index", "relative_coords_table")


def build_trunk(model_class: Any, config: Any, state: Mapping[str, Tensor] | None, said: str) -> nn.Module:
    """The model of a configuration in float32, without classifier or text tower.

    Args:
        model_class: of transformers.
        config: of that class.
        state: weights by the names of any release or any head of the library, which it translates itself; None draws them.
        said: names the weights in messages.

    Raises:
        WeightsError: a weight is missing, of another shape, or left over inside of what was built.
    """
    # The class itself with a forward of ours: a module around it would put its name before that of every tap. It keeps its
    # name, by which the library finds its translations.
    trunk: Any = type(model_class.__name__, (_Trunk, model_class), {"__module__": model_class.__module__})
    for name in ("output_attentions", "output_hidden_states"):
        setattr(config, name, False)
    config.return_dict = True
    options = {
        "dtype": torch.float32,
        # Named, since a configuration may ask for kernels that are not here.
        "attn_implementation": "sdpa" if model_class._supports_sdpa else "eager",
    }
    with quiet():
        if state is None:
            return trunk._from_config(config, **options)  # type: ignore[no-any-return]
        module, report = _load(trunk, config, state, options)
        # A checkpoint of a classifier has no pooler, where its head reads the class token: it would be random, and nobody knew.
        if report["missing_keys"] and all(key.startswith("pooler.") for key in report["missing_keys"]):
            module, report = _load(trunk, config, state, {**options, "add_pooling_layer": False})
    _check(module, report, said)
    return module


class _Trunk:
    """Mixed into a model of transformers: pixels in, the vector that the model pools out."""

    def __init__(self, config: Any, **options: Any) -> None:
        super().__init__(config, **options)  # type: ignore[call-arg]  # of the model, which comes behind
        size = getattr(config, "image_size", None)
        self._trained_at = (size, size) if isinstance(size, int) else tuple(size or ())
        self._interpolates = "interpolate_pos_encoding" in inspect.signature(super().forward).parameters  # type: ignore[misc]
        # Given what a classifier would be given. SigLIP has a `head` of its own, which pools.
        self._end = "classifier" if hasattr(self, "head") else "head"
        setattr(self, self._end, nn.Identity())
        for module in list(self.modules()):  # type: ignore[attr-defined]
            if type(module).__name__ in _SEVERAL_OUTPUTS:
                module.tokens = Tokens()
                module.register_forward_hook(_show_first)

    @property
    def num_prefix_tokens(self) -> int | None:
        """Class token, distillation token and registers; None for a network that has no tokens of its own."""
        embeddings = getattr(self, "embeddings", None)
        found = [getattr(embeddings, name, None) for name in _PREFIX_TOKENS]
        return embeddings and sum(token.numel() // token.shape[-1] for token in found if token is not None)

    @property
    def cls_token(self) -> Tensor | None:
        """Its parameter; None where there is none."""
        embeddings = getattr(self, "embeddings", None)
        return next((token for name in _CLASS_TOKENS if (token := getattr(embeddings, name, None)) is not None), None)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """What the model itself pools; else the class token behind its last norm; else the average of all positions."""
        # Of the size that it was trained at, embeddings of positions are taken as they are: resampling expects a square.
        other = self._interpolates and tuple(pixel_values.shape[-2:]) != self._trained_at
        found = super().forward(pixel_values, **({"interpolate_pos_encoding": True} if other else {}))  # type: ignore[misc]
        vector = found.get("pooler_output")
        if vector is None:
            hidden = found.last_hidden_state
            positions = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden
            vector = positions.mean(dim=1) if self.cls_token is None else positions[:, 0]
        return getattr(self, self._end)(vector.flatten(1))  # type: ignore[no-any-return]


class Tokens(nn.Module):
    """What the block around it passes on to the next."""

    def forward(self, tokens: Tensor) -> Tensor:
        """As it is."""
        return tokens


def _show_first(module: nn.Module, _: object, results: tuple[Tensor, ...]) -> None:
    module.tokens(results[0])  # type: ignore[operator]  # that module


def _load(
    trunk: Any, config: Any, state: Mapping[str, Tensor], options: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    # Tensors instead of a path: files were read by udta's own reader, and nothing is looked up on a hub.
    found: tuple[nn.Module, dict[str, Any]] = trunk.from_pretrained(
        None,
        config=config,
        state_dict=dict(state),
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are listed, and refused below
        **options,
    )
    return found


def _check(module: nn.Module, report: Mapping[str, Any], said: str) -> None:
    """What was not filled is random, which no later step would notice; what is left over elsewhere is another tower or a head."""
    inside = {name for name, _ in module.named_children()}
    left = (key for key in report["unexpected_keys"] if key.partition(".")[0] in inside)
    problems = [
        *listing("missing", (key for key in report["missing_keys"] if not _is_immaterial(key))),
        *listing("left over", (key for key in left if not _is_immaterial(key))),
        *listing(
            "of another shape",
            (f"{key} {list(given)} instead of {list(wanted)}" for key, given, wanted in report["mismatched_keys"]),
        ),
        *(f"  {message}" for message in report["error_msgs"]),
    ]
    if problems:
        name = type(module).__name__
        raise WeightsError("\n".join([f"{said} does not fit the {name} of its config.json:", *problems]))


def _is_immaterial(key: str) -> bool:
    return key.rpartition(".")[2] in _IMMATERIAL


@contextmanager
def quiet() -> Iterator[None]:
    """The library tells of keys that another tower has in a table on standard error, under a bar; here they are looked at."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
