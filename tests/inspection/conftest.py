import pytest
from planted import planted

import udta


@pytest.fixture(scope="session")
def planted_store(tmp_path_factory):
    """A store of photographs with planted mistakes."""
    root = tmp_path_factory.mktemp("planted")
    photos = planted(root)
    udta.extract(
        photos, backbone="toy:net", taps="stage1=grid(8),stage2", splits=root / "splits.csv", out=root / "planted.zarr"
    )
    return root / "planted.zarr"


@pytest.fixture(scope="session")
def inspected(planted_store, tmp_path_factory):
    """What `udta.inspect` says of it, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("inspected") / "out"
    return udta.inspect(planted_store, out=out), out
