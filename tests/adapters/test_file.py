"""Adapter files: round trip, refusals, damage."""

import json
import random

import pytest
import safetensors.torch
import torch
from adapter_contract import MAPS, features, trained

from udta.adapters import AdapterHeader, load_adapter, save_adapter
from udta.errors import AdapterError
from udta.fingerprint import Fingerprint, TapSpec
from udta.probe import Probe

SEED = 20_220_310
FIELDS = {
    "feature_version": 1,
    "backbone": {"factory": "toy:net", "architecture": "a", "weights": "w"},
    "input": {"evaluate": "resize(16,16)"},
    "taps": {tap: {"reducer": "avg", "shape": list(shape)} for tap, shape in MAPS.items()},
    "views": {"count": 2, "seed": 0},
    "compute": "float32",
    "dtype": "float16",
}
PROBE = Probe(dict.fromkeys(MAPS, (0.1, 1.0, -0.3)))


def header(adapter, fields=FIELDS):
    taps = tuple(TapSpec(tap, "avg", MAPS[tap], "float16") for tap in adapter.taps_used)
    return AdapterHeader(
        adapter.name, adapter.options, taps, tuple("abcde"), Fingerprint(fields), {"backbone": "toy:net"}, probe=PROBE
    )


@pytest.fixture
def saved(tmp_path):
    adapter = trained("udta", MAPS)
    save_adapter(tmp_path / "adapter.safetensors", adapter, header(adapter))
    return tmp_path / "adapter.safetensors", adapter


def test_comes_back_as_it_was(saved):
    path, adapter = saved
    loaded, found = load_adapter(path)
    assert torch.equal(loaded(features(MAPS)), adapter(features(MAPS)))
    assert found == header(adapter)
    assert load_adapter(path.parent)[1] == found  # the run folder will do


def test_the_same_adapter_gives_the_same_bytes(saved, tmp_path):
    path, adapter = saved
    save_adapter(tmp_path / "again.safetensors", adapter, header(adapter))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_other_features_are_refused_with_the_field(saved):
    _, found = load_adapter(saved[0])
    found.check(Fingerprint({**FIELDS, "views": {"count": 9, "seed": 3}}), "store")
    with pytest.raises(AdapterError, match='backbone/weights: adapter "w", store "x"'):
        found.check(Fingerprint({**FIELDS, "backbone": {**FIELDS["backbone"], "weights": "x"}}), "store")
    last = {"reducer": "avg", "shape": [9]}
    with pytest.raises(AdapterError, match="taps/last/shape"):
        found.check(Fingerprint({**FIELDS, "taps": {**FIELDS["taps"], "last": last}}), "store")


def test_features_of_other_code_are_refused(saved):
    _, found = load_adapter(saved[0])
    found.check_code(Probe(), "a store that has no probe")
    other = Probe({tap: tuple(-number for number in numbers) for tap, numbers in PROBE.taps.items()})
    with pytest.raises(AdapterError, match="with the same weights, this backbone computes other features"):
        found.check_code(other, "store")


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(AdapterError, match="udta train"):
        load_adapter(tmp_path / "absent")


def test_truncated_foreign_and_newer_files_are_refused(saved, tmp_path, no_collection):
    path, adapter = saved
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(AdapterError, match="cut short"):
        load_adapter(path)
    foreign = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(AdapterError, match="no udta adapter"):
        load_adapter(foreign)
    newer = json.dumps({"format": 99, **header(adapter).to_json()})
    safetensors.torch.save_file(adapter.state_dict(), foreign, metadata={"udta": newer})
    with pytest.raises(AdapterError, match="update udta"):
        load_adapter(foreign)
    for document in ('{"format": 4}', '{"format": [1]}', "[3]", "{", "[" * 100_000):
        safetensors.torch.save_file(adapter.state_dict(), foreign, metadata={"udta": document})
        with pytest.raises(AdapterError, match=r"foreign\.safetensors"):
            load_adapter(foreign)


def test_a_file_of_an_earlier_format_says_what_to_do(saved, tmp_path):
    adapter, old = saved[1], tmp_path / "old.safetensors"
    metadata = {"udta": json.dumps({"format": 3, **header(adapter).to_json()})}
    safetensors.torch.save_file(adapter.state_dict(), old, metadata=metadata)
    with pytest.raises(AdapterError, match=r"format 3, this udta reads format 5: train it again"):
        load_adapter(old)


def test_no_flipped_bit_gets_past_loading(saved):
    """Neither in the tensors nor in the header: the file is refused, or the flip changed nothing (spaces, the order of keys)."""
    path, adapter = saved
    whole, expected, rng = path.read_bytes(), adapter(features(MAPS)), random.Random(SEED)
    header_end = 8 + int.from_bytes(whole[:8], "little")
    places = [rng.randrange(header_end) for _ in range(60)] + [rng.randrange(header_end, len(whole)) for _ in range(60)]
    refused = 0
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            loaded, found = load_adapter(path)
        except AdapterError:
            refused += 1
            continue
        assert found == header(adapter), f"byte {place}, seed {SEED}"
        assert torch.equal(loaded(features(MAPS)), expected), f"byte {place}, seed {SEED}"
    assert refused >= len(places) - 3


def test_a_pickle_is_never_loaded(tmp_path):
    path = tmp_path / "adapter.safetensors"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(AdapterError, match="not a readable safetensors"):
        load_adapter(path)
