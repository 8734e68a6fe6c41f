"""Python, torch beside torchvision, formats of images, extras, other programs, locale."""

from __future__ import annotations

import locale
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from udta.diagnosis._check import Check

# torchvision 0.15 is of torch 2.0, 0.16 of 2.1 and so on: https://github.com/pytorch/vision#installation
_TORCHVISION_AHEAD = 15
# Extras of people who work on udta itself.
_OWN_EXTRAS = ("dev", "docs", "repro")


def python(_folder: Path) -> Check:
    """Its version, and a system that udta is tested on."""
    found = f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Check("python", "warn", found, "udta is tested on Linux; elsewhere run `udta verify` on the first store")
    return Check("python", "ok", found)


def torch_pairing(_folder: Path) -> Check:
    """Whether torchvision is the one that was built for this torch: another imports, and fails at its first operation."""
    installed = {name: _version(name) for name in ("torch", "torchvision")}
    found = ", ".join(f"{name} {number or 'missing'}" for name, number in installed.items())
    missing = [name for name, number in installed.items() if not number]
    if missing:
        return Check("torch", "fail", found, f"pip install {' '.join(missing)}")
    torch, torchvision = (Version(number) for number in installed.values() if number)
    built_for = torch.minor + _TORCHVISION_AHEAD
    if torch.major == 2 and (torchvision.major, torchvision.minor) != (0, built_for):
        advice = f"they do not belong together: pip install 'torch=={torch.public}' 'torchvision==0.{built_for}.*'"
        return Check("torch", "fail", found, advice)
    # Builds for CUDA of one and for the CPU of the other, as two package indexes give them.
    if torch.local and torchvision.local and torch.local != torchvision.local:
        return Check("torch", "warn", found, "two different builds: install both from one index, in one pip command")
    import torch as imported
    from torchvision.ops import nms

    nms(imported.zeros(1, 4), imported.zeros(1), 0.5)  # of its compiled part
    return Check("torch", "ok", found)


def formats(_folder: Path) -> Check:
    """Which images can be read, and how fast JPEGs are."""
    from PIL import features

    from udta.images import extra_formats

    lacking = extra_formats()
    plain = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp", "TIFF": "libtiff"}
    broken = [name for name, feature in plain.items() if not features.check(feature)]
    turbo = features.version("libjpeg_turbo") if features.check("libjpeg_turbo") else None
    readable = [name for name in plain if name not in broken] + [
        name for name, install in lacking.items() if not install
    ]
    found = f"{', '.join(readable)}; JPEG by {f'libjpeg-turbo {turbo}' if turbo else 'plain libjpeg'}"
    if broken or not turbo:
        reason = (
            f"Pillow reads no {', '.join(broken)}" if broken else "libjpeg without turbo takes 2 to 6 times as long"
        )
        advice = f"{reason}: pip install --force-reinstall --only-binary :all: pillow"
        return Check("formats", "fail" if "JPEG" in broken or "PNG" in broken else "warn", found, advice)
    missing = {name: install for name, install in lacking.items() if install}
    advice = f"for {', '.join(missing)}: pip install {' '.join(dict.fromkeys(missing.values()))}" if missing else ""
    return Check("formats", "ok", found, advice)


def extras(_folder: Path) -> Check:
    """Which optional parts are installed."""
    try:
        wanted = [Requirement(line) for line in requires("udta") or ()]
    except PackageNotFoundError:
        return Check("extras", "warn", "udta is imported from a folder that is no installation", "pip install udta")
    by_extra: dict[str, list[Requirement]] = {}
    for requirement in wanted:
        named = re.search(r"""extra == ['"]([\w-]+)['"]""", str(requirement.marker or ""))
        if named and named[1] not in _OWN_EXTRAS:
            by_extra.setdefault(named[1], []).append(requirement)
    lacking = {extra: [each for each in needed if not _version(each.name)] for extra, needed in by_extra.items()}
    old = [
        f"{each.name} {number} (udta needs {each.specifier})"
        for needed in by_extra.values()
        for each in needed
        if (number := _version(each.name)) and not each.specifier.contains(number, prereleases=True)
    ]
    there = [extra for extra, missing in lacking.items() if not missing]
    absent = [extra for extra, missing in lacking.items() if missing]
    found = "; not installed: ".join(filter(None, (", ".join(there) or "none", ", ".join(absent))))
    if old:
        return Check("extras", "warn", found, f"too old: {'; '.join(dict.fromkeys(old))}: pip install --upgrade them")
    return Check("extras", "ok", found, f"pip install 'udta[{','.join(absent)}]'" if absent else "")


def project(_folder: Path) -> Check:
    """DVC and git, which a project of one's own wants."""
    git, dvc = shutil.which("git"), _version("dvc")
    found = f"git {'found' if git else 'missing'}, dvc {dvc or 'missing'}"
    advice = [] if git else ["install git, for projects with a history"]
    advice += [] if dvc else ["for `udta init`: pip install 'udta[project]'"]
    return Check("project", "ok" if git and dvc else "warn", found, "; ".join(advice))


def locale_of_names(_folder: Path) -> Check:
    """Whether names of files and what is printed are UTF-8."""
    used = {"file names": sys.getfilesystemencoding(), "text": locale.getpreferredencoding(False)}
    found = ", ".join(f"{what} {encoding}" for what, encoding in used.items())
    if all(encoding.lower().replace("-", "") == "utf8" for encoding in used.values()):
        return Check("locale", "ok", found)
    return Check("locale", "warn", found, "names with accents may be refused: export PYTHONUTF8=1 (or LANG=C.UTF-8)")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
