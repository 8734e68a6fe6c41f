"""The report of five sets as Chromium shows it: phone and desktop, light and dark, and on paper."""

import shutil

import pytest
from toy import photographs

import udta

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SETS = {  # the fourth class has the colour of the first, so that they are taken for each other
    "birds": ("wren", "robin", "sparrow", "crow", "gull"),
    "butterflies": ("monarch", "admiral"),
    "flowers": ("rose", "tulip", "aster", "a_flower_with_a_very_long_name_that_no_column_of_a_phone_can_hold"),
    "food": ("bread", "soup", "rice & <beans>"),
    "textures": ("banded", "dotted", "woven", "veined"),
}
WIDTHS = {"phone": 390, "desktop": 1280}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH")]


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    """Of five small sets with three adapters each, and a few-shot curve."""
    work = tmp_path_factory.mktemp("five")
    stores = [work / f"{name}.zarr" for name in SETS]
    for seed, (store, (name, classes)) in enumerate(zip(stores, SETS.items(), strict=True)):
        images = photographs(work / name, per_class=12, classes=classes, size=(20, 16), seed=seed)
        udta.extract(images, backbone="toy:net", taps="stage1=grid(4),stage2=grid(4)", views=2, out=store)
    adapters = {
        "udta": {"recipe": {"epochs": 3}},
        "linear": {"adapter": "linear", "recipe": {"epochs": 2}},
        "ridge": {"adapter": "ridge"},
    }
    for name, store in zip(SETS, stores, strict=True):
        udta.sweep(store, adapters={"adapters": adapters}, out=work / "sweeps" / name)
    udta.fewshot(stores[0], adapter="ridge", shots=[1, 2, None], seeds=2, out=work / "few")
    udta.report(work, out=work / "report.html", title="Five sets")
    return work / "report.html"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, report_file):
    """Opens the report; what the console says, and every request but that for the page, is collected."""
    pages, said, asked = [], [], []

    def open_page(width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

        def route(request):
            if request.request.url == report_file.as_uri():
                request.continue_()
            else:
                asked.append(request.request.url)
                request.abort()

        page.route("**/*", route)
        page.goto(report_file.as_uri())
        pages.append(page)
        return page

    yield open_page
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == []
    for page in pages:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_it_reads_well_for_everybody(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(WIDTHS[width], scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
    # Words in drawings are no smaller than can be read, also where drawings shrink.
    heights = page.evaluate(
        "[...document.querySelectorAll('.chart:not(.wide) svg text')].map(text => text.getBoundingClientRect())"
        ".map(box => Math.min(box.width, box.height)).filter(side => side > 0)"
    )
    assert min(heights) > 6
    assert page.locator("svg").count() > 20
    assert page.locator("img").count() > 0
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_it_needs_no_script(browser, report_file):
    page = browser.new_page(java_script_enabled=False)
    page.goto(report_file.as_uri())
    assert "Mistakes" in page.locator("main").inner_text()
    page.close()


def test_it_prints(opened, tmp_path):
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("details table").first.is_visible()  # what is folded on a screen is on paper
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") < 60


def test_it_is_small(report_file):
    assert report_file.stat().st_size < 2_000_000


def test_a_drawing_stands_alone(browser, report_file):
    drawing = next((report_file.parent / "report_files").glob("results-*.svg"))
    page = browser.new_page(color_scheme="dark")
    page.goto(drawing.as_uri())
    colours = page.evaluate("[...document.querySelectorAll('text')].map(text => getComputedStyle(text).fill)")
    assert "rgb(232, 235, 239)" in colours
    page.close()
