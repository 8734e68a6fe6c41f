"""Adapter files of a stranger: every header is read as it was written, or refused with an error that says why."""

import json
from pathlib import Path

import pytest
import torch
from changed_documents import changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from udta._files.tensor_file import read_tensors, write_tensors
from udta.adapters import AdapterHeader, build_adapter, load_adapter, save_adapter
from udta.errors import AdapterError
from udta.fingerprint import Fingerprint, TapSpec

TAPS = (TapSpec("stage1", "grid(4)", (3, 4, 4), "float16"), TapSpec("stage2", "avg", (6,), "float16"))
FIELDS = {"backbone": {"factory": "toy:net", "architecture": "a", "weights": "w"}, "input": {"evaluate": "resize(8,8)"}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("adapter") / "adapter.safetensors"
    adapter = build_adapter("concat_linear", {tap.name: tap.shape for tap in TAPS}, 3)
    header = AdapterHeader(
        "concat_linear", adapter.options, TAPS, ("a", "b", "c"), Fingerprint(FIELDS), {"weights": "none"}
    )
    save_adapter(path, adapter, header)
    return path, *read_tensors(path, "udta")


def test_every_change_of_a_header_is_read_as_it_says_or_refused(saved):
    path, document, tensors = saved
    copy = path.with_name("changed.safetensors")

    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        written = changed(data.draw, document)
        write_tensors(copy, "udta", written, tensors)
        try:
            adapter, header = load_adapter(copy)
        except AdapterError:
            return
        assert json.loads(json.dumps(header.to_json())) == {key: written.get(key, {}) for key in header.to_json()}
        with torch.inference_mode():
            features = {tap.name: torch.zeros(1, *tap.shape) for tap in header.taps}
            assert adapter(features).shape == (1, len(header.classes))

    check()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("taps", [{**TAPS[0].to_json(), "name": "../x"}]),
        ("taps", [{**TAPS[0].to_json(), "shape": [2**20, 2**20, 4]}]),
        ("taps", []),
        ("classes", ["a", "a"]),
        ("classes", ["a", "b\0"]),
        ("classes", []),
        ("options", {"width": 10**15}),
        ("fingerprint", {"input": {"evaluate": 7}}),
    ],
)
def test_what_cannot_be_is_named(saved, field, value):
    path, document, tensors = saved
    copy = Path(path.with_name("changed.safetensors"))
    write_tensors(copy, "udta", {**document, field: value}, tensors)
    with pytest.raises(AdapterError, match=r"changed\.safetensors: "):
        load_adapter(copy)
