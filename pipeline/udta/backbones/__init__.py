"""Frozen backbones: from what the user calls one to the features of its taps.

backbone        a frozen module, the hashes that identify it, the input it expects
build           the public call `build_backbone`: name -> source -> module -> weights
sources/        where names are looked up: torchvision, timm, one's own factories
weights         a file's tensors into a module, without running what is in the file
remembered      the same from a name that a data file holds, which may name less than a user may
letters         the offline backbone, its weights beside it
taps            which modules can be kept, and what is stored of those that are asked for
_recommend      which taps to begin with
reducers/       what is done to a tap's output before it is stored
arithmetic      which one a backbone runs in, and which of them the hardware does well
forward         8-bit images -> features of the taps
fold            before it: BatchNorm into convolutions
_compile        before it: `torch.compile` for what lies between taps
replay          around it: a CUDA graph of the pass
probing         tried before an extraction: ten numbers a tap that tell what the code computes
purity          tried before an extraction: whether it is a function of one image
memory_format   tried before an extraction: channels last, where that gives the same
_module         copies of modules that others wrote, and where in one an error came from
"""

from udta._machine.device import resolve_device
from udta.backbones.arithmetic import resolve_compute
from udta.backbones.backbone import Backbone, InputSpec
from udta.backbones.build import build_backbone
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
