"""Stores as somebody else may have made them: consistent in themselves, checksums and all."""

import contextlib
import json

import h5py
import pytest

from udta.errors import CorruptStoreError
from udta.store import engine_at, open_store
from udta.store._ledger import _document, file_checksum
from udta.store.verify import verify


def reseal(path, attributes=None):
    """What anybody can do: make the checksums fit what stands there now."""
    ledger = engine_at(path).ledger
    sealed = {name: file_checksum(path / name) for name in ledger.sealed_files()}
    ledger.seal(sealed, attributes if attributes is not None else ledger.sealed_attributes())


def set_attributes(path, attributes):
    """Have a store say something else of itself, consistently."""
    if (path / "index.h5").exists():
        with h5py.File(path / "index.h5", "a") as file:
            for name, value in attributes.items():
                plain = isinstance(value, str) and name in ("format", "split_rule", "codec")
                number = type(value) is int and abs(value) < 2**63
                file.attrs[name] = value if plain or number else json.dumps(value)
    else:
        document = json.loads((path / "zarr.json").read_text())
        (path / "zarr.json").write_text(json.dumps({**document, "attributes": attributes}))
    reseal(path, attributes)


def edit_record(path, block, edit):
    ledger = engine_at(path).ledger
    document = ledger.record(block).to_json()
    edit(document)
    ledger.path(block).write_bytes(_document(document))


def refused(path, match=None):
    """Neither opening nor verifying says that all is well, or ends in anything but an error of ours."""
    with pytest.raises(CorruptStoreError, match=match):
        open_store(path).read(range(10))
    with contextlib.suppress(CorruptStoreError):
        assert not verify(path).sound
