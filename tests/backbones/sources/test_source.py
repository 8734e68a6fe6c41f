"""A source of one's own: found by its prefix, and nothing of it is built because of a data file until it says so."""

import pytest
import torch

from udta.backbones import InputSpec, build_backbone, rebuild_backbone
from udta.backbones.sources.registry import SOURCES
from udta.backbones.sources.source import Blueprint, Source
from udta.errors import ConfigError


class Hub(Source):
    """As little as a source can say."""

    name, prefix = "hub", "hub:"
    built = 0

    def blueprint(self, name, weights, arguments, *, size=None):
        Hub.built += 1
        return Blueprint(name, lambda: torch.nn.Conv2d(3, 2, 1), lambda module: InputSpec("resize(8,8)"))


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setitem(SOURCES, "hub", Hub())
    monkeypatch.setattr(Hub, "built", 0)


def test_a_prefix_means_its_source_before_a_factory(hub):
    backbone = build_backbone("hub:somebody/something")
    assert (backbone.factory, backbone.input.evaluate) == ("hub:somebody/something", "resize(8,8)")
    with pytest.raises(ConfigError, match="'pretrained' is no keyword here"):
        build_backbone("hub:somebody/something?pretrained=true")


def test_what_a_source_does_not_say_is_no(hub):
    with pytest.raises(ConfigError, match="give it as --backbone"):
        rebuild_backbone({"backbone": "hub:somebody/something", "weights": "none"}, "adapter x")
    with pytest.raises(ConfigError, match="nothing is downloaded because a file says so"):
        rebuild_backbone({"weights": "pretrained"}, "adapter x", backbone="hub:somebody/something")
    assert Hub.built == 0
