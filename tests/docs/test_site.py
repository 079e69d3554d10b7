"""The documentation builds without a warning, and its pages load nothing from elsewhere."""

import html
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("mkdocs", reason="the extra [docs] is not installed")
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}


@pytest.fixture(scope="module")
def hooks():
    return runpy.run_path(str(ROOT / "docs" / "hooks.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loads(HTMLParser):
    """Notes what a page loads, and how many formulas it has."""

    def __init__(self):
        super().__init__()
        self.found, self.formulas = [], 0

    def handle_starttag(self, tag, attrs):
        self.formulas += tag == "math"
        relation = dict(attrs).get("rel", "")
        if tag in LOADED and relation not in ("canonical", "next", "prev"):
            self.found.append(dict(attrs).get(LOADED[tag]) or "")


def test_pages_load_what_lies_beside_them(site):
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) == len(list((ROOT / "docs").rglob("*.md"))) + 1  # and the README
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        for address in filter(None, loads.found):
            if not address.startswith("data:"):
                assert (page.parent / address.split("?")[0].split("#")[0]).exists(), address


def test_settings_are_shown_with_their_default_range_and_help(site):
    page = (site / "api" / "yolo.html").read_text(encoding="utf-8")
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())
    assert "that a cfg file describes (one of yolov4, yolov4-tiny, darknet)" in text
    assert "factor on the confidence loss (in 0 to 1e+06)" in text
    assert "option(" not in text


def test_formulas_become_mathml(site, hooks):
    source = (ROOT / "docs" / "focal-loss.md").read_text(encoding="utf-8")
    source = re.sub(r"^```.*?^```$", "", source, flags=re.MULTILINE | re.DOTALL)
    loads = Loads()
    loads.feed((site / "focal-loss.html").read_text(encoding="utf-8"))
    assert loads.formulas == len(re.findall(r"\$\$.+?\$\$|\$.+?\$", source, re.DOTALL))
    content = hooks["on_page_content"](r'<p><span class="arithmatex">\(x^2 &lt; y\)</span></p>')
    assert content.startswith("<p><math") and "<msup>" in content and "arithmatex" not in content


def test_the_readme_is_the_first_page(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert 'src="predictions.jpg"' in text and 'href="tutorial.html"' in text


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img alt="" src="http://example/badge.svg">',
    ],
)
def test_a_page_that_loads_from_elsewhere_is_refused(hooks, tag):
    from mkdocs.exceptions import PluginError

    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    with pytest.raises(PluginError, match=r"a\.md loads from elsewhere"):
        hooks["on_post_page"](f"<p>{tag}</p>", page=page)
    fine = '<a href="https://example">there</a><img src="figures/x.png">'
    assert hooks["on_post_page"](fine, page=page) == fine
