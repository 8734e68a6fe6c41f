"""Frozen backbones: from what the user calls one to the features of its taps.

_backbone       a frozen module, the hashes that identify it, the input it expects
_build          the public call `build_backbone`: name -> source -> module -> weights
sources/        where names are looked up: torchvision, timm, one's own factories
_weights        a file's tensors into a module, without running what is in the file
_remembered     the same from a name that a data file holds, which may name less than a user may
_finding        what is installed, and what a name would load
_available      the public calls `udta.backbones` and `udta.taps`: what there is to choose from
letters         the offline backbone, its weights beside it
_trace          one pass that tells what each module gives, and which one is the head
_taps           which modules can be kept, and what is stored of those that are asked for
_tap_names      what their arrays are called, where several are of one module
_recommend      which taps to begin with
_budget         and which of them in fewer bytes
reducers/       what is done to a tap's output before it is stored
arithmetic      which one a backbone runs in, and which of them the hardware does well
_forward        8-bit images -> features of the taps
_exportable     the same as one module, for programs of other people
_fold           before it: BatchNorm into convolutions
_compile        before it: `torch.compile` for what lies between taps
_replay         around it: a CUDA graph of the pass
_probing        tried before an extraction: ten numbers a tap that tell what the code computes
_purity         tried before an extraction: whether it is a function of one image
_memory_format  tried before an extraction: channels last, where that gives the same
_module         copies of modules that others wrote, and where in one an error came from
"""

from udta._machine.callable_package import callable_as
from udta._machine.device import resolve_device
from udta.backbones._available import BackboneReport, TapReport, backbones, taps
from udta.backbones._backbone import Backbone, InputSpec
from udta.backbones._build import build_backbone, find_source
from udta.backbones._exportable import TapModule
from udta.backbones._finding import find_backbones, list_sources
from udta.backbones._forward import TapForward
from udta.backbones._memory_format import fitting_memory_format
from udta.backbones._probing import probe_backbone, probe_like
from udta.backbones._purity import check_pure
from udta.backbones._remembered import rebuild_backbone
from udta.backbones._replay import Replay
from udta.backbones._taps import (
    TapInfo,
    TapRequest,
    list_taps,
    parse_taps,
    recommended_taps,
    requests_for,
    resolve_taps,
    taps_text,
)
from udta.backbones.arithmetic import resolve_compute
from udta.backbones.reducers import Geometry

__all__ = [
    "Backbone",
    "BackboneReport",
    "Geometry",
    "InputSpec",
    "Replay",
    "TapForward",
    "TapInfo",
    "TapModule",
    "TapReport",
    "TapRequest",
    "backbones",
    "build_backbone",
    "check_pure",
    "find_backbones",
    "find_source",
    "fitting_memory_format",
    "list_sources",
    "list_taps",
    "parse_taps",
    "probe_backbone",
    "probe_like",
    "rebuild_backbone",
    "recommended_taps",
    "requests_for",
    "resolve_compute",
    "resolve_device",
    "resolve_taps",
    "taps",
    "taps_text",
]

callable_as(__name__, backbones)
