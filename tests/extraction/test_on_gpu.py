"""Extraction on a GPU: the same bytes however it is done, near to the CPU's, and with nvJPEG."""

import hashlib
import io

import numpy as np
import pytest
import torch
from PIL import Image
from toy import photographs

import udta
from udta.errors import ConfigError

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
COMMON = {
    "backbone": "resnet18",
    "weights": "none",
    "taps": "layer2=grid(2),layer4=avg",
    "views": 2,
    "transform": "resize(72)|centre_crop(64)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Smooth photographs of 3 classes in several blocks, larger than a view."""
    root = tmp_path_factory.mktemp("gpu") / "photos"
    rng = np.random.default_rng(0)
    for number in range(300):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((160 + number % 7, 120 + number % 5), Image.Resampling.BICUBIC)
        target = root / f"class{number % 3}" / f"{number:03d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=90)
    return root


def digest(store):
    """Of all files but what tells when and how fast."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def features(store):
    opened = udta.open_store(store)
    return opened.read(np.arange(len(opened)), dtype="float32")


def relative(found, expected):
    return {tap: float(np.linalg.norm(found[tap] - expected[tap]) / np.linalg.norm(expected[tap])) for tap in expected}


@pytest.fixture(scope="module")
def first(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu") / "first"
    report = udta.extract(folder, out=out, device="cuda", **COMMON)
    assert report.compute == "bfloat16"
    return out


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("options", [{}, {"prefetch": 1}, {"workers": 2}])
def test_the_bytes_do_not_depend_on_how_it_is_done(folder, first, tmp_path, options):
    udta.extract(folder, out=tmp_path / "again", device="cuda", **options, **COMMON)
    assert digest(tmp_path / "again") == digest(first)


@pytest.mark.gpu
@needs_cuda
def test_an_interrupted_one_goes_on_to_the_same_bytes(folder, first, tmp_path):
    class StopError(Exception):
        pass

    def progress(_what, done, _total, _text):
        if done >= 200:
            raise StopError

    with pytest.raises(StopError):
        udta.extract(folder, out=tmp_path / "again", device="cuda", progress=progress, **COMMON)
    udta.extract(folder, out=tmp_path / "again", device="cuda", **COMMON)
    assert digest(tmp_path / "again") == digest(first)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("compute", ["float32", "bfloat16", "float16"])
def test_it_is_near_to_the_cpu(folder, tmp_path, compute):
    udta.extract(folder, out=tmp_path / "gpu", device="cuda", compute=compute, **COMMON)
    udta.extract(folder, out=tmp_path / "cpu", device="cpu", compute="float32", **COMMON)
    worst = {"float32": 2e-3, "bfloat16": 3e-2, "float16": 5e-3}[compute]
    assert max(relative(features(tmp_path / "gpu"), features(tmp_path / "cpu")).values()) < worst


@pytest.mark.gpu
@needs_cuda
def test_codes_are_made_on_the_gpu(folder, tmp_path):
    udta.extract(folder, out=tmp_path / "codes", device="cuda", compute="float32", dtype="uint8", **COMMON)
    udta.extract(folder, out=tmp_path / "exact", device="cuda", compute="float32", dtype="float32", **COMMON)
    assert max(relative(features(tmp_path / "codes"), features(tmp_path / "exact")).values()) < 2e-2


@pytest.mark.gpu
@needs_cuda
def test_nvjpeg_is_near_to_pillow_and_has_a_fingerprint_of_its_own(folder, tmp_path):
    common = {**COMMON, "device": "cuda", "compute": "float32", "dtype": "float32"}
    udta.extract(folder, out=tmp_path / "pillow", **common)
    udta.extract(folder, out=tmp_path / "nvjpeg", decoder="nvjpeg", **common)
    errors = relative(features(tmp_path / "nvjpeg"), features(tmp_path / "pillow"))
    assert 0 < max(errors.values()) < 5e-2
    stored = udta.open_store(tmp_path / "nvjpeg")
    (difference,) = stored.fingerprint.diff(udta.open_store(tmp_path / "pillow").fingerprint)
    assert difference == 'input/decoder: stored "nvjpeg", asked "nothing"'
    udta.extract(folder, out=tmp_path / "again", decoder="nvjpeg", prefetch=1, **common)
    assert digest(tmp_path / "again") == digest(tmp_path / "nvjpeg")
    assert udta.recompute(stored, device="cuda").differing == ()


@pytest.mark.gpu
@needs_cuda
def test_nvjpeg_leaves_to_pillow_what_is_no_plain_jpeg(tmp_path):
    root = photographs(tmp_path / "photos")
    for folder in sorted(root.iterdir()):
        for number, file in enumerate(sorted(folder.iterdir())):
            image = Image.open(file).convert("RGB").resize((100, 80))
            content = io.BytesIO()
            kind = number % 6
            exif = Image.Exif()
            exif[0x0112] = 6
            if kind == 1:
                image.convert("CMYK").save(content, "JPEG")
            elif kind == 2:
                image.save(content, "JPEG", exif=exif)
            elif kind == 3:
                image.convert("L").save(content, "JPEG")
            elif kind == 4:
                image.save(content, "PNG")
            else:
                image.save(content, "JPEG", progressive=number % 2 == 0)
            data = content.getvalue()
            file.unlink()
            target = file.with_suffix(".png" if kind == 4 else ".jpg")
            target.write_bytes(data[: len(data) // 2] if kind == 5 else data)
    common = {
        **COMMON, "device": "cuda", "compute": "float32", "dtype": "float32", "on_error": "skip", "views": 1,
    }  # fmt: skip
    pillow = udta.extract(root, out=tmp_path / "pillow", **common)
    nvjpeg = udta.extract(root, out=tmp_path / "nvjpeg", decoder="nvjpeg", **common)
    assert nvjpeg.skipped == pillow.skipped
    assert len(nvjpeg.skipped) == 3
    good = [row for row in range(24) if row not in udta.open_store(tmp_path / "pillow").skipped]
    found, expected = (udta.open_store(tmp_path / name).read(np.array(good)) for name in ("nvjpeg", "pillow"))
    assert max(relative(found, expected).values()) < 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_nvjpeg_without_a_gpu_says_so(photos, tmp_path):
    with pytest.raises(ConfigError, match="decodes on a CUDA device, and there is none: use pillow"):
        udta.extract(photos, backbone="toy:net", taps="stage1", out=tmp_path / "store", decoder="nvjpeg")
    assert not (tmp_path / "store").exists()
