"""Every link in the Markdown of the repository leads to a file that is there and, behind a `#`, to a heading in it."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*/README.md")]
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


@cache
def anchors(page):
    """As GitHub makes them of headings: letters, digits, `_` and `-`; blanks become `-`, a second one gets a number."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


def broken(page):
    for match in LINK.findall(FENCED.sub("", page.read_text())):
        target, _, anchor = "".join(match).partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or not file.is_relative_to(ROOT):
            yield f"{target} is not there"
        elif anchor and anchor not in anchors(file):
            yield f"{target} has no heading #{anchor}"


def test_links_lead_somewhere():
    problems = {str(page.relative_to(ROOT)): list(broken(page)) for page in PAGES}
    assert {page: found for page, found in problems.items() if found} == {}


def test_a_broken_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text('# A heading\n[a](gone.md) [b](#a-heading) [c](#another) ![d](gone.svg) <img src="gone.png">\n')
    assert list(broken(page)) == [
        "gone.md is not there",
        " has no heading #another",
        "gone.svg is not there",
        "gone.png is not there",
    ]
