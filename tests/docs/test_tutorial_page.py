"""The tutorial's code runs from top to bottom and prints what the page says it prints."""

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT = "# >"


def blocks(text):
    """Yield (line of the page, code, lines that it is said to print)."""
    for found in BLOCK.finditer(text):
        lines = found[1].splitlines()
        shown = [line.removeprefix(OUTPUT).strip() for line in lines if line.startswith(OUTPUT)]
        yield text[: found.start(1)].count("\n") + 1, found[1], shown


def test_every_block_prints_what_it_says():
    names = {}
    for number, code, shown in blocks(PAGE.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # Empty lines before it make a traceback name the page's own line.
            exec(compile("\n" * (number - 1) + code, str(PAGE), "exec"), names)
        assert printed.getvalue().splitlines() == shown, f"{PAGE.name}:{number}"


def test_the_worked_cases_are_there():
    shown = "\n".join(
        line for _, _, lines in blocks(PAGE.read_text(encoding="utf-8")) for line in lines
    )
    for p_t, weight in ((0.95, 0.25), (0.05, 0.25), (0.99, 0.25), (0.95, 0.75), (0.05, 0.75)):
        assert f"CE / FL {1 / (weight * (1 - p_t) ** 2):,.1f}" in shown


def test_pictures_of_the_pages_exist_and_are_small():
    for page in (PAGE, ROOT / "docs" / "paper.md"):
        names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        assert names, page.name
        for name in names:
            assert 2_000 < (page.parent / name).stat().st_size < 100_000, name
