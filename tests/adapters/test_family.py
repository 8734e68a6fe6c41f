"""Every adapter, trained as `udta train` does, on features that each of them can use."""

import numpy as np
import pytest

import udta
from udta.adapters import ADAPTERS
from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, StoreWriter

CLASSES, PER_CLASS, VIEWS = 5, 24, 2
TAPS = (TapSpec("early", "none", (6, 4, 4), "float16"), TapSpec("late", "avg", (12,), "float16"))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """Classes that differ in the mean of both taps, by about the spread of a class."""
    rng = np.random.default_rng(0)
    n = CLASSES * PER_CLASS
    labels = np.arange(n) % CLASSES
    fields = {"feature_version": 1, "backbone": {"weights": "made up"}, "views": {"count": VIEWS, "seed": 0}}
    layout = Layout(
        ids=tuple(f"{row}.png" for row in range(n)),
        labels=labels,
        splits=tuple("test" if row >= n // 2 else "train" for row in range(n)),
        classes=tuple("abcde"),
        taps={tap.name: tap for tap in TAPS},
        n_views=VIEWS,
        block_rows=n,
        fingerprint=Fingerprint(fields),
        split_rule="file",
        source={},
    )
    features = {}
    for tap in TAPS:
        centres = rng.standard_normal((CLASSES, tap.shape[0], *(1,) * (len(tap.shape) - 1)))
        image = centres[labels] + rng.standard_normal((n, *tap.shape))
        views = image[:, None] + 0.2 * rng.standard_normal((n, VIEWS, *tap.shape))
        features[tap.name] = views.astype(np.float16)
    path = tmp_path_factory.mktemp("stores") / "synthetic.zarr"
    with StoreWriter(path, layout, [f"{row:064x}" for row in range(n)]) as writer:
        writer.write(0, features)
    return path


@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_beats_chance_clearly(synthetic, tmp_path, adapter):
    """Chance is 0.2."""
    report = udta.train(synthetic, out=tmp_path / "run", adapter=adapter)
    assert report.metrics["top1"] > 0.6
    assert report.metrics["top1_views"] > 0.6


@pytest.fixture(scope="module")
def two_flowers(real_data, tmp_path_factory):
    """Twenty photographs of each of two classes, one view of the last tap of MobileNetV2."""
    images = tmp_path_factory.mktemp("flowers")
    for folder in sorted(path for path in (real_data / "real" / "flowers").iterdir() if path.is_dir())[:2]:
        (images / folder.name).mkdir()
        for photograph in sorted(folder.iterdir())[:20]:
            (images / folder.name / photograph.name).symlink_to(photograph)
    out = tmp_path_factory.mktemp("stores") / "flowers.zarr"
    udta.extract(
        images,
        backbone="torchvision.models.quantization:mobilenet_v2?quantize=false",
        weights=str(real_data / "weights" / "mobilenet_v2_relu.pth"),
        taps="features.18=avg",
        out=out,
    )
    return out


@pytest.mark.parametrize("adapter", [name for name, adapter in ADAPTERS.items() if adapter.closed_form])
def test_closed_forms_tell_real_flowers_apart(two_flowers, tmp_path, adapter):
    """Chance is 0.5."""
    assert udta.train(two_flowers, out=tmp_path / "run", adapter=adapter).metrics["top1"] > 0.8
