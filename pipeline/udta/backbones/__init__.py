"""Frozen backbones: building them, naming their taps, running them for features."""

from udta._machine.device import resolve_device
from udta.backbones.backbone import Backbone, InputSpec
from udta.backbones.build import build_backbone
from udta.backbones.compute import resolve_compute
from udta.backbones.forward import TapForward
from udta.backbones.memory_format import fitting_memory_format
from udta.backbones.probing import probe_backbone, probe_like
from udta.backbones.purity import check_pure
from udta.backbones.remembered import rebuild_backbone
from udta.backbones.replay import Replay
from udta.backbones.taps import TapInfo, TapRequest, list_taps, parse_taps, recommended_taps, resolve_taps

__all__ = [
    "Backbone",
    "InputSpec",
    "Replay",
    "TapForward",
    "TapInfo",
    "TapRequest",
    "build_backbone",
    "check_pure",
    "fitting_memory_format",
    "list_taps",
    "parse_taps",
    "probe_backbone",
    "probe_like",
    "rebuild_backbone",
    "recommended_taps",
    "resolve_compute",
    "resolve_device",
    "resolve_taps",
]
