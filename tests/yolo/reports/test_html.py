"""Pages in one file: everything escaped, nothing fetched, pictures inside."""

import re

import cv2
import numpy as np

from yolo.reports import html


def test_a_page_holds_its_pictures_and_fetches_nothing(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    page = html.Page("Run <b>猫</b>", "a & b")
    page.top.append(html.cards({"mAP <50>": "0.5"}))
    page.add("Empty", "", "")
    page.add(
        "Parts", html.table(["class", "AP"], [["<cat>", "0.5"]]), html.code("a\n<b>"),
        html.figures({"one & only": picture, "missing": tmp_path / "b.png"}, wide=True),
        html.folded("more", html.paragraph("x", kind="soft")),
    )  # fmt: skip
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Run &lt;b&gt;猫&lt;/b&gt;" in text and "&lt;cat&gt;" in text and "<cat>" not in text
    assert re.findall(r'<img alt="one &amp; only" src="data:image/png;base64,iVBOR', text)
    assert text.count("<img") == 1 and "Empty" not in text
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "default-src 'none'" in text and 'name="viewport"' in text


def test_long_lists_fold_away():
    text = html.items([f"line {i}" for i in range(30)], most=5)
    before, folded = text.split("<details>")
    assert before.count("<li>") == 5 and folded.count("<li>") == 25 and "25 more" in folded
    assert "<details>" not in html.items(["a"])


def test_a_name_that_is_no_unicode_can_be_shown():
    assert html.text("a\udcff") == "a\\udcff"
