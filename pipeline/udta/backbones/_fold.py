"""Folding BatchNorm into the convolution before it: the same function in evaluation mode, one pass over the map less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from udta.backbones._module import clone


def fold_batchnorm(module: nn.Module, keep: Collection[str] = ()) -> int:
    """Fold every BatchNorm in evaluation mode into the convolution whose only use it is, in place; returns how many were folded.

    Args:
        module: in evaluation mode; one that torch.fx cannot trace is left as it is.
        keep: names of taps, which go on giving their own output.
    """
    # The order of modules in the tree is not the order of calls: torch.fx follows the forward and tells what reads what.
    try:
        # A copy: a forward that keeps something for its next call would keep a stand-in of torch.fx.
        graph = fx.Tracer().trace(clone(module, share_parameters=True))
    except Exception:  # fx raises anything a forward can raise, on whatever it cannot follow
        return 0
    # A folded convolution gives what its BatchNorm gave: where a tap ends between the two, that would be another feature.
    pairs = [pair for pair in _pairs(graph, module) if not any(_ends_between(tap, *pair) for tap in keep)]
    for conv_name, norm_name in pairs:
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)  # that is what a pair is
        assert isinstance(norm, nn.BatchNorm2d)
        # w' = w * gamma / sqrt(var + eps) and b' = (b - mean) * gamma / sqrt(var + eps) + beta, by output channel.
        module.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
        module.set_submodule(norm_name, nn.Identity())  # the forward goes on calling it by its name
    return len(pairs)


def _pairs(graph: fx.Graph, module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions and BatchNorms that run once each, one right after the other and for nobody else."""
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    modules = dict(module.named_modules())
    # Replacing a module under one of its names would leave the other name unfolded.
    names = Counter(id(each) for _, each in module.named_modules(remove_duplicate=False))
    # A weight that is also used by itself (tied weights) has to stay what it is.
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        pair = str(before.target), str(node.target)
        conv, norm = (modules[name] for name in pair)
        # Without running statistics it normalises by the batch, which no weight can hold.
        once = all(calls[name] == 1 and names[id(modules[name])] == 1 and name not in read for name in pair)
        if once and _is_plain(conv, nn.Conv2d) and _is_plain(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            yield pair


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """No subclass, and no hooks: those of `weight_norm` would compute the weight anew and undo the folding."""
    return type(module) is kind and not module._forward_pre_hooks and not module._forward_hooks


def _ends_between(tap: str, conv: str, norm: str) -> bool:
    """Whether the tap is the convolution or a container that has it, but not its BatchNorm."""
    return f"{conv}.".startswith(f"{tap}.") and not f"{norm}.".startswith(f"{tap}.")
