"""A hard set for choosing among adapters: words of 40 fonts, 26 images each, whose font is to be told.

    python -m benchmarks.words OUT

Classes differ in small parts alone, the words and colours of an image say nothing, and ImageNet has no fonts. Takes the upright
regular fonts that fontconfig lists (Debian: fonts-lato, -open-sans, -roboto-unhinted, -urw-base35, -liberation, -croscore,
-linuxlibertine, -cantarell, -firacode, -inconsolata, -crosextra-carlito, -crosextra-caladea, -gfs-didot, -gfs-artemisia,
-junicode, -hack, -freefont-otf, -comfortaa, -quicksand, -dosis, -jura, -play, -cabin, -vollkorn, -cardo, -clear-sans, -stix,
-texgyre, -dustin, -breip), so another machine has other classes: compare within one machine.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CLASSES, IMAGES = 40, 26
TEXT = Path(__file__).parents[1] / "LICENSE"
NOT_LATIN = re.compile(r"Noto|Symbol|Ding|Math|Size|Emoji|Var|D050|Upright|Greek|Icon|Non")
REGULAR = re.compile(r"(?P<file>.*\.(ttf|otf)): (?P<family>[^,:]*)[^:]*:style=(Regular|Roman|Book|Medium)\b")


def fonts() -> dict[str, Path]:
    """Files by family, those that draw a line of text like one before left out."""
    listed = subprocess.run(["fc-list", ":", "family", "style", "file"], capture_output=True, text=True, check=True)
    found, seen = {}, set()
    for line in sorted(listed.stdout.splitlines()):
        match = REGULAR.match(line)
        if match is None or NOT_LATIN.search(match["family"]) or match["family"] in found:
            continue
        sheet = Image.new("L", (400, 80))
        ImageDraw.Draw(sheet).text((2, 5), "Hamburgefonstiv", fill=255, font=ImageFont.truetype(match["file"], 40))
        drawn = sheet.resize((100, 20)).tobytes()
        if any(drawn) and drawn not in seen:
            seen.add(drawn)
            found[match["family"]] = Path(match["file"])
    return found


def render(file: Path, words: list[str], rng: random.Random) -> Image.Image:
    """240 x 240: some words in one font, slightly turned, blurred and noisy."""
    size = rng.randint(44, 70)
    font = ImageFont.truetype(str(file), size)
    paper, ink = (tuple(rng.randint(*bounds) for _ in range(3)) for bounds in ((120, 255), (0, 90)))
    sheet = Image.new("RGB", (320, 320), paper)
    draw, top = ImageDraw.Draw(sheet), rng.randint(-10, 30)
    while top < 320:
        line = " ".join(rng.choices(words, k=3))
        draw.text((rng.randint(-60, 20), top), line.title() if rng.random() < 0.4 else line, fill=ink, font=font)
        top += int(1.25 * size)
    sheet = sheet.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, fillcolor=paper).crop((40, 40, 280, 280))
    pixels = np.asarray(sheet.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))).astype(np.float32)
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 8, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def main() -> None:
    """Write `OUT/<font>/<number>.jpg`."""
    out, rng, found = Path(sys.argv[1]), random.Random(7), fonts()
    words = sorted(set(re.findall(r"[a-z]{4,8}", TEXT.read_text().lower())))
    for family in rng.sample(sorted(found), CLASSES):
        folder = out / re.sub(r"\W+", "_", family)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(IMAGES):
            render(found[family], words, rng).save(folder / f"{number:02}.jpg", quality=87)


if __name__ == "__main__":
    main()
