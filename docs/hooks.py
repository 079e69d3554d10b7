"""What the documentation needs of MkDocs beyond its settings; mkdocs.yml names this file."""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
FOREIGN = re.compile(r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="(?:https?:)?//[^>]*>')


def on_files(files, config):
    """Make the README the first page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown, **_):
    """Let links to the README lead to the first page."""
    return markdown.replace("](../README.md", "](index.md")


def on_page_content(content, **_):
    """Turn formulas into MathML, which browsers draw without a script."""

    def formula(found):
        tag, bracket, text = found.groups()
        display = "block" if bracket == "[" else "inline"
        maths = convert(html.unescape(text).strip(), display=display)
        return f'<div class="formula">{maths}</div>' if tag == "div" else maths

    return FORMULA.sub(formula, content)


def on_post_page(output, page, **_):
    """Refuse a page that would load something from elsewhere."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} loads from elsewhere: {found[0]}")
    return output
