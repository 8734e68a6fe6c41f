"""Live rivals: methods that run the backbone on the images in every epoch, for comparison with adapters on stored features."""

from benchmarks.live import fine_tuning, last_layer, lora, residual_adapters, udta_live
from benchmarks.live.rival import Rival

RIVALS: dict[str, Rival] = {
    each.RIVAL.name: each.RIVAL for each in (fine_tuning, last_layer, residual_adapters, lora, udta_live)
}
