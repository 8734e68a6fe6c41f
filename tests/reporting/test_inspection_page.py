"""The page of an inspection: pictures where photographs are, a line where they are not."""

import re

from udta.inspection.inspect import inspect
from udta.reporting.inspection_page import write_inspection_page


def test_the_page_has_maps_and_pictures_with_names(toy_store, tmp_path):
    found = inspect(toy_store)
    files = write_inspection_page(found, tmp_path / "inspection.html")
    page = (tmp_path / "inspection.html").read_text()
    assert {path.name for path in files} >= {"inspection.html", "map-pca-toy.svg", "map-tsne-toy.svg"}
    assert "3 classes with fewer than ten images in a split" in page
    for odd in found.wrong["path"][:3]:
        assert f'alt="{odd}' in page
    assert not re.search(r'(src|href)="https?:', page)
