"""Web pages in one file that open without a network: text, tables, and pictures inside them."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo.system.writing import write_text

_KINDS = {".png": "png", ".jpg": "jpeg"}
# Nothing may be fetched: what the page needs is inside, and a slip shows at once.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2328; --soft: #5c6670; --paper: #fff; --box: #f4f6f8;
  --line: #d9dfe4; --mark: #0b62a8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5af; --paper: #14181c;
  --box: #1e242a; --line: #36404a; --mark: #6cb4f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Microsoft YaHei", sans-serif; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 28px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 40px 0 12px; padding-top: 8px; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 22px 0 6px; }
p { margin: 6px 0; }
.soft, footer, figcaption { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0 0; }
a { color: var(--mark); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px;
  margin: 20px 0; }
.card { background: var(--box); border-radius: 8px; padding: 10px 14px; }
.card b { display: block; font-size: 1.45rem; line-height: 1.3; overflow-wrap: anywhere; }
.card span { color: var(--soft); font-size: .86rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: 4px 12px 4px 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { white-space: normal; vertical-align: bottom; }  /* a phone is narrower than long headings */
th:first-child, td:first-child { text-align: left; }
table.text td, table.text th { text-align: left; white-space: normal; }
table.text td:nth-child(2) { overflow-wrap: anywhere; min-width: 8em; }
.figures { columns: 430px; column-gap: 24px; margin-top: 12px; }
.figures:has(> figure:only-child:not(.whole)) { columns: auto; max-width: 780px; }
.rows { columns: auto; display: grid; gap: 0 24px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); }
figure { margin: 0 0 20px; break-inside: avoid; }
figure.whole { column-span: all; }
figure img { width: 100%; height: auto; display: block; background: #fff; border-radius: 6px; }
figcaption { font-size: .88rem; margin-top: 4px; }
pre { background: var(--box); border-radius: 8px; padding: 10px 14px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .86rem; }
ul { padding-left: 20px; margin: 6px 0; } li { overflow-wrap: anywhere; }
summary { cursor: pointer; } .bad { color: var(--bad); }
footer { padding: 30px 16px 40px; font-size: .86rem; }
"""


class Page:
    """A page with a title, and a line below it, that grows section by section."""

    def __init__(self, title: str, subtitle: str = ""):
        self.title, self.subtitle = title, subtitle
        self.top: list[str] = []
        self.sections: list[tuple[str, str]] = []

    def add(self, heading: str, *parts: str) -> None:
        """Add a section of parts that the functions below made; empty ones are left out."""
        body = "\n".join(part for part in parts if part)
        if body:
            self.sections.append((heading, body))

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all."""
        links = "".join(
            f'<a href="#s{i}">{text(heading)}</a>' for i, (heading, _) in enumerate(self.sections)
        )
        body = "".join(
            f'<section id="s{i}"><h2>{text(heading)}</h2>\n{inside}\n</section>\n'
            for i, (heading, inside) in enumerate(self.sections)
        )
        write_text(
            path,
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            f"<title>{text(self.title)}</title><style>{_STYLE}</style></head>\n<body>\n"
            f'<header><h1>{text(self.title)}</h1><p class="soft">{text(self.subtitle)}</p>'
            f"<nav>{links}</nav></header>\n<main>{''.join(self.top)}\n{body}</main>\n"
            "<footer>Everything is inside this file; it can be sent and opened anywhere.</footer>"
            "\n</body></html>\n",
        )


def text(value) -> str:
    """Return text that stands for itself in HTML."""
    printed = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return html.escape(printed)


def cards(values: dict[str, str]) -> str:
    """Return a row of large figures with what they are."""
    inside = "".join(
        f'<div class="card"><b>{text(value)}</b><span>{text(name)}</span></div>'
        for name, value in values.items()
    )
    return f'<div class="cards">{inside}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Return a table, numbers to the right; with `words`, all to the left and wrapped."""
    head = "".join(f"<th>{text(cell)}</th>" for cell in header)
    # Long names of settings break behind a low line, and only there.
    gap = "_<wbr>" if words else "_"
    lines = "".join(
        "<tr>" + "".join(f"<td>{text(cell).replace('_', gap)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    kind = ' class="text"' if words else ""
    return (
        f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def paragraph(line: str, *, kind: str = "") -> str:
    """Return a paragraph; `kind` may be "soft" or "bad"."""
    return f"<p class={kind!r}>{text(line)}</p>" if kind else f"<p>{text(line)}</p>"


def heading(line: str) -> str:
    """Return a heading inside a section."""
    return f"<h3>{text(line)}</h3>"


def code(lines: str) -> str:
    """Return text in a typewriter's letters, line breaks kept."""
    return f"<pre>{text(lines)}</pre>"


def items(lines: Iterable[str], *, most: int = 10) -> str:
    """Return a list; what exceeds `most` folds away."""
    lines = [f"<li>{text(line)}</li>" for line in lines]
    shown = f"<ul>{''.join(lines[:most])}</ul>"
    if len(lines) > most:
        rest = f"<ul>{''.join(lines[most:])}</ul>"
        shown += f"<details><summary>{len(lines) - most} more</summary>{rest}</details>"
    return shown


def folded(summary: str, inside: str) -> str:
    """Return something that opens on a click."""
    return f"<details><summary>{text(summary)}</summary>{inside}</details>"


def figures(files: dict[str, Path], *, wide: bool = False, in_rows: bool = False) -> str:
    """Return pictures, PNG or JPEG by their captions, beside each other where there is room.

    Missing ones are left out. `wide` lets JPEG files, photographs, take the page's whole width;
    `in_rows` keeps to their order row by row, where else columns are filled, without gaps.
    """
    parts = []
    for caption, path in files.items():
        if path.is_file():
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            kind = _KINDS[path.suffix.lower()]
            across = ' class="whole"' if wide and kind == "jpeg" else ""
            parts.append(
                f'<figure{across}><img alt="{text(caption)}" src="data:image/{kind};base64,{data}">'
                f"<figcaption>{text(caption)}</figcaption></figure>"
            )
    layout = "figures rows" if in_rows else "figures"
    return f'<div class="{layout}">{"".join(parts)}</div>' if parts else ""
