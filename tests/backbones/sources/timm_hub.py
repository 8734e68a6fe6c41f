"""Tiny random models as timm saves them, for a hub on loopback or a folder."""

import warnings

import torch


def saved(folder, name, *, seed=0, safe=True, config=None, **arguments):
    """A model with random weights and the folder with its `config.json` and weights."""
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(seed)
    model = timm.create_model(name, **arguments).eval()
    for values in model.parameters():  # many begin as zeros and ones, with which a mistake would not show
        values.data += 0.05 * torch.randn_like(values)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_for_hf(model, str(folder), model_config=config, safe_serialization=safe)
    return model, folder
