"""Every architecture of torchvision, and one of each family of timm: features equal to plain hooks, or one clear refusal."""

import pytest
import torchvision.models
import zoo

from udta.errors import UdtaError

# In float32, relative to the largest value of a tap. Folded BatchNorm over random statistics makes 2e-4 in `visformer_tiny`.
TOLERANCE = 5e-4
# What is refused, and the words that say why: videos and pairs of images are no images.
OTHERS = (torchvision.models.video, torchvision.models.optical_flow)
REFUSED = {name: "fails on an image of" for module in OTHERS for name in torchvision.models.list_models(module=module)}
REASON = f"has more than {zoo.MOST:,} parameters: its smaller relatives stand for it"


def check(name, spec):
    """On 64 pixels where it allows them, else on its own size."""
    try:
        worst = zoo.deviation(spec, 64)
    except UdtaError:
        if name in REFUSED:
            with pytest.raises(UdtaError, match=REFUSED[name]):
                zoo.deviation(spec)
            return
        worst = zoo.deviation(spec)
    assert name not in REFUSED
    assert worst < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", torchvision.models.list_models())
def test_torchvision(name):
    if zoo.is_large(name):
        pytest.skip(f"{name} {REASON}")
    check(name, zoo.torchvision_specs()[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.TIMM)
def test_timm(name):
    pytest.importorskip("timm", reason="needs the extra timm")
    check(name, f"timm:{name}")


@pytest.mark.slow
def test_every_family_of_timm_is_in_the_zoo_or_too_large():
    pytest.importorskip("timm", reason="needs the extra timm")
    families = zoo.families_of_timm()
    here = {family for family, names in families.items() if set(names) & set(zoo.TIMM)}
    assert here | zoo.TOO_LARGE == set(families)
