"""Sphinx: `make docs`. Pages are plain Markdown that also reads well where no Sphinx runs; see `pages.py` for what is added."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "udta"
author = "the authors of udta"
copyright = "the authors of udta"  # noqa: A001  # Sphinx's name for it
version = release = installed_version("udta")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "pages"]
exclude_patterns = ["pictures"]
html_theme = "furo"
html_title = f"udta {release}"
html_static_path: list[str] = []
copybutton_prompt_text = "$ "

# Anchors are those that GitHub makes of headings, so that one link works in both.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# Docstrings have the marks of Markdown: one backtick is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
nitpicky = True
# Types in signatures: those of other libraries have their inventories on the network, and not every one of ours is public.
nitpick_ignore_regex = [(r"py:.*", r".*")]
