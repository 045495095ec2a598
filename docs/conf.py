"""Settings of the site that `scripts/docs` makes of these pages."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "House Llama"
author = "The authors of House Llama"
html_title = project
html_logo = "logo.svg"
html_theme = "furo"
html_show_copyright = False
html_copy_source = False
extensions = ["myst_parser"]
# Headings have the same anchors as on GitHub.
myst_heading_anchors = 3
# Some examples hold templates and flags that no highlighter knows.
highlight_language = "none"


def add_contents(_: Sphinx, docname: str, source: list[str]) -> None:
    """Have the first page's links to other pages be the contents of the site, in their order."""
    if docname == "index":
        links = re.findall(r"^- \[(.*?)\]\(([\w-]+)\.md\)", source[0], re.MULTILINE)
        pages = "\n".join(f"{title} <{page}>" for title, page in links)
        source[0] += f"\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Be called by Sphinx with its application."""
    app.connect("source-read", add_contents)
